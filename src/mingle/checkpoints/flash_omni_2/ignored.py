"""Keys that transformers writes into every config, and that the released code never reads."""

from mingle.checkpoints.fields import Fields

ABOUT_THE_FILE = (
    "_attn_implementation_autoset _name_or_path architectures auto_map dtype id2label label2id "
    "torch_dtype transformers_version"
).split()

DECODING_DEFAULTS = (
    "bad_words_ids begin_suppress_tokens bos_token_id decoder_start_token_id diversity_penalty "
    "do_sample early_stopping encoder_no_repeat_ngram_size eos_token_id "
    "exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty "
    "max_length min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences "
    "output_scores pad_token_id remove_invalid_values repetition_penalty return_dict "
    "return_dict_in_generate sep_token_id suppress_tokens temperature top_k top_p typical_p "
    "use_cache"
).split()

OTHER_ARCHITECTURES = (
    "add_cross_attention chunk_size_feed_forward cross_attention_hidden_size finetuning_task "
    "is_decoder is_encoder_decoder output_attentions output_hidden_states prefix problem_type "
    "pruned_heads task_specific_params tf_legacy_loss tie_encoder_decoder tie_word_embeddings "
    "tokenizer_class torchscript use_bfloat16"
).split()


def ignore_defaults(fields: Fields) -> None:
    """Mark them known; what a part does read, it has taken before."""
    fields.ignore("about the file, not the model", *ABOUT_THE_FILE)
    fields.ignore("decoding options, which are the request's", *DECODING_DEFAULTS)
    fields.ignore("defaults for other architectures", *OTHER_ARCHITECTURES)

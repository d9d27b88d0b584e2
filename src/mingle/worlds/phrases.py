"""Telephone and assistant phrases with slots, and the everyday words they must cover. All ours."""

import re
from collections.abc import Sequence

import numpy as np

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
).split()

SLOTS: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "day": "monday tuesday wednesday thursday friday saturday sunday today tomorrow",
        "month": "january february march april may june july august september october november "
        "december",
        "place": "kitchen bedroom garden office garage hallway station airport market library "
        "school hospital hotel bank museum",
        "thing": "light door window heater radio alarm camera printer phone music lamp fan clock "
        "screen speaker",
        "person": "anna ben carla david emma frank grace henry irene jack kate leo maria nick "
        "olivia paul rosa sam tina victor",
        "food": "coffee tea bread cheese apples rice soup chicken salad pizza milk eggs butter",
        "weather": "rain snow wind sunshine fog thunder",
        "switch": "on off",
        "key": "pound star hash zero one two three four five six seven eight nine",
        "role": "agent operator caller manager user member administrator leader participant "
        "customer guest owner",
        "item": "message number extension password mailbox call conference recording greeting "
        "account channel queue line directory option menu name card code list",
        "items": "messages numbers extensions passwords mailboxes calls recordings accounts "
        "channels lines options names entries users participants agents minutes seconds callers",
        "act": "accept cancel change check clear close confirm continue delete disable dial enable "
        "end enter erase exit extend find forward hear hold leave listen lock mark mute open "
        "pause play press record reject release remove repeat replace reply reset return review "
        "save search select send set skip start stop store transfer try unlock unmute update "
        "use view",
        "state": "available busy locked unlocked muted full empty active inactive enabled disabled "
        "complete invalid correct incorrect recorded saved deleted cancelled connected "
        "disconnected unavailable temporary urgent private public ready closed open",
        "adverb": "now again later currently already immediately shortly temporarily successfully",
        "half": "morning evening afternoon",
        "level": "volume speed tone brightness temperature",
        "rank": "first last next previous current new old other same final",
    }.items()
}

PHRASES = (
    # a telephone exchange
    "please press {key} for the {thing}",
    "press {key} to {act} the {item}",
    "press {key} to {act} your {item} or {key} to {act} it",
    "to {act} the {rank} {item} press {key}",
    "to {act} this {item} please press {key} {adverb}",
    "if you want to {act} the {item} press the {key} key",
    "or press {key} to {act} all {items}",
    "the {item} is {adverb} {state}",
    "this {item} has been {state}",
    "your {item} is {state} please {act} the {rank} one",
    "your {item} has been {state} by the {role}",
    "the {role} is {state} and cannot {act} the {item}",
    "the {role} has left the {place}",
    "the {role} will join the {item} {adverb}",
    "a {role} is {adverb} on the line",
    "only the {role} can {act} this {item}",
    "there are {number} {items} in the {item}",
    "you have {number} {rank} {items} and {number} {state} {items}",
    "you do not have any {rank} {items}",
    "no {rank} {items} were found in this {item}",
    "we could not find a {role} with that {item}",
    "we are sorry your {item} could not be {state}",
    "I'm sorry I did not understand the {item}",
    "sorry the {item} of this {role} is {state}",
    "that {item} does not exist or is {state}",
    "the {item} that you chose is {state}",
    "do you want to {act} or {act} the {item}",
    "enter the {item} of the {role} and then {act} it",
    "please say your {item} after the tone and {act}",
    "please wait while we {act} your {item}",
    "please hold a moment while I find the {role}",
    "someone will answer your {item} in about {number} minutes",
    "the wait for a {role} is about {number} seconds",
    "your place in the {item} is number {number}",
    "thank you for waiting a {role} will be with you {adverb}",
    "thank you for your patience",
    "thanks for holding we will help you soon",
    "all of our {items} are {adverb} busy please call later",
    "at the tone the time was {hour} {minute}",
    "when you are done hang up or press the {key} key",
    "after the beep say the {rank} name of the {role}",
    "the {rank} {number} letters of the {rank} name",
    "use the key with the {rank} letter of your name",
    "spell the name with the letters of your telephone keypad",
    "dial extension {number} {number} to reach the {role}",
    "I will {adverb} {act} your {item} to extension {digit} {digit} {digit}",
    "the call came from area code {digit} {digit} {digit}",
    "you received the {item} at {hour} {minute} from an unknown {role}",
    "this call may be {state} for training",
    "all calls are {adverb} sent to voice mail",
    "your voicemail {item} is {state}",
    "the system will {act} the {item} for {number} seconds",
    "the temporary greeting was {state}",
    "{role} number {digit} {digit} {digit} has {number} {items}",
    "too many wrong tries goodbye",
    "an error has happened please {act} it again",
    "that was an incorrect {item} {role}",
    "raise or lower the {level} with {key} and {key}",
    "increase the {level} or decrease the {level}",
    "the speaking {level} was set to its default",
    "you may now {act} the {rank} {item}",
    "you must {act} the {item} before the {rank} one",
    "you are about to {act} {number} {items}",
    "you were the {rank} {role} to {act}",
    "everyone else has left this {item}",
    "no one may {act} a {state} {item}",
    "the connection to the server was lost",
    "connecting you to the {rank} {state} {role}",
    "welcome to the telephone {item} of the {place}",
    "welcome back {person} you have one urgent {item}",
    "for sales press {key} for billing press {key}",
    "technical support is open from {hour} to {hour}",
    "the cost of this call is {number} dollars and {number} cents",
    "your account has {number} minutes remaining",
    "your balance is less than {number} cents",
    "the next bill is due on {day} the {ordinal}",
    "the card number must have {number} digits",
    "followed by the {key} key",
    "for more options press {key}",
    # an assistant at home
    "turn {switch} the {thing} in the {place}",
    "turn the {level} up by {number} percent",
    "set an alarm for {hour} {minute} in the {half}",
    "wake me at {hour} {minute} on {day}",
    "set a timer for {number} minutes and {number} seconds",
    "remind me to call {person} on {day} {half}",
    "what is the weather like on {day}",
    "will there be {weather} or {weather} {day}",
    "there will be {weather} on {day} {half}",
    "add {food} and {food} to my shopping list",
    "take {food} off the list and add {food}",
    "how long does it take to get to the {place}",
    "where is the nearest {place} and when does it close",
    "the train to the {place} leaves at {hour} {minute}",
    "{person} and {person} will meet in the {place} on the {ordinal} of {month}",
    "play some music in the {place}",
    "the temperature outside is {number} degrees",
    "open the {thing} and close the {thing}",
    "I would like {number} cups of {food} please",
    "send a message to {person} saying I am late",
    "call {person} at the {place} and say hello",
    "read me the {rank} {item} from {person}",
    "what is {number} plus {number}",
    "what is {number} minus {number}",
    "how many {items} did {person} leave",
    "the year nineteen {number}",
    "one hundred and {number} thousand {number} hundred",
    "{number} million {items}",
    "the meeting with {person} starts at half past {hour}",
    "is {person} in the {place} or in the {place}",
    "my flight is on {month} {ordinal} at {hour} o'clock",
    "{person} was here yesterday with a {role}",
    "{digit} {digit} {digit} {digit}",
    "{digit} {digit} oh {digit} {digit} {digit}",
)

COVERED = tuple(
    """about above access accident across activated added address advanced afraid against agency
    alert allow alone although always amount announce another answer anybody anyone anything
    application appointment approximately area around arrival arrive arrived arrives assist
    assistance attempt attend attending audio authentication authorized automatic available
    backwards balance barge because become before begin beginning being believe below between
    billing blacklist block both bridge broadcast broken browse button called calling cannot capital
    category ceiling center change changed character charge charged choice choose city clean clear
    client collect come comes company complete completed computer conditions conditioning
    configuration congratulations connect connection contact control conversation could country
    created credit critical current customer daily dark data date decrease default degree delay
    deleted delivery demonstration department desk destination device dialed dialing dialog
    different digit direction disconnect disturb division dollar down drive during each early east
    echo edit eight electric elevator email emergency empty engineer enough entered entering entire
    entry envelope error estimated even event every everyone everything exactly exchange existing
    expired extended external failed failure family fast favorite feature fee few file filename
    film final finance finished fire floor folder followed following forecast forever format former
    found free friend from front function further future general give given glad good goodbye great
    group half hang hanging happened hardware hash have head hear heard hello help here high highway
    hold hour hours house hundred identification identified if immediate important inbound include
    included incoming increase index indicate individual information input inside installed
    instruction instructions instrument internal international internet interval invalid invoice
    join joined jump just keep keyboard keypad kick kilometer know land language large last
    late latency left length less letter level light limit limited list listening local locate
    located location log logged login long longer looking loud lower lunch machine made mail main
    maintenance make manual many market match maximum may meeting menu method midnight might mile
    mile minimum minute missed mobile mode modem moment money monitor month more most move multiple
    must national near need needed network never new night noise none noon normal north not note
    nothing notice notify number numeric office often old once online only operate operating
    operation operator option order original other otherwise out outbound outgoing outside over
    page paid paging park parked part partial party pass past pause pay payment pending people per
    percent period permission permitted person personal phone place placed plan playback please
    plus point police port position possible pound power prefer press pressed previous price prior
    priority problem process processed program project prompt protect proper provide provided
    provider public purchase quality question queue quick quiet quit rate reach reached reason
    rebooting receive received receptionist recent recently reduce refuse register registration
    related remain remaining remember remote removed repair repeat report reports represent request
    required research reserve residence response restart restricted result retry reverse ring
    ringing road room route rules running safe sales sample schedule scheduled screen second
    seconds section secure security selected server service settings seven several share short
    should shut signal silence simple simply simultaneous since single six slow small software
    someone something sorry sound source south space speak speaking special specified speed spell
    spoken staff standard star start started station status stay stock stopped street string
    subject submit success successful sunny supervisor support switch system take talk talking
    technical technician telephone television temporary tenant terminal test than thank that their
    them then there these they third this those through ticket time times today toggle together
    tone too tool total touch toward town traffic transfer transferred travel tried trunk try
    trying twice two type unable unauthorized unconditional under unit unknown until update upstairs
    upon urgent usage use used user using vacation valid value very video visit visitor voice wait
    waiting warning was water way weather web week weekend welcome well west what when where which
    while who whole whose will wind wireless with without word work working world would wrong year
    years yes yesterday yet you your yourself zone""".split()
)
WORDS_SHARE = 0.35  # of phrases: words in no order; 30,000 sentences have each some 20 times


def sample_phrase(rng: np.random.Generator) -> str:
    """A telephone or assistant phrase with its slots filled by chance."""

    def pick(words: Sequence[str]) -> str:
        return words[int(rng.integers(len(words)))]

    def fill(slot: re.Match[str]) -> str:
        match slot[1]:
            case "number":
                return number_words(int(rng.integers(100)))
            case "digit":
                return ONES[rng.integers(10)]
            case "hour":
                return ONES[1 + rng.integers(12)]
            case "minute":
                return number_words(int(rng.integers(10, 60)))
            case "ordinal":
                return pick(ORDINALS)
            case name:
                return pick(SLOTS[name])

    return re.sub(r"\{(\w+)\}", fill, pick(PHRASES))


def sample_words(rng: np.random.Generator) -> str:
    """Four to seven of the covered words, in no order."""
    return " ".join(COVERED[i] for i in rng.integers(len(COVERED), size=rng.integers(4, 8)))


def number_words(number: int) -> str:
    """0 to 99 in English words."""
    if number < 20:
        return ONES[number]
    tens = TENS[number // 10 - 2]
    return tens if number % 10 == 0 else f"{tens} {ONES[number % 10]}"

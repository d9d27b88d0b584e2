"""Raw media and chat messages -> numpy model inputs. No torch in this room."""

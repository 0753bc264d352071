"""A repository as it was at an example's moment: checkouts, texts after its edits, what is known around them."""

"""The workshop of the demonstration model: how it was made, from word list to `final.mdl`. The service imports none of it."""

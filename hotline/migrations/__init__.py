"""The history of the tables. `hotline.migration` runs it; nothing here needs a settings file."""

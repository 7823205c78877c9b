"""All tables in one place, for the migrations and for nobody else."""

import ivr.models
import tickets.books
import tickets.checklist
import tickets.dossier
import tickets.figure_days
import tickets.matters
import tickets.models
import tickets.outings
import tickets.reminders
import tickets.rota
import tickets.rounds
import tickets.triggers  # made with the tables
from hotline.db import Base

metadata = Base.metadata
rooms = (
    ivr.models,
    tickets.books,
    tickets.figure_days,
    tickets.checklist,
    tickets.dossier,
    tickets.matters,
    tickets.models,
    tickets.outings,
    tickets.reminders,
    tickets.rota,
    tickets.rounds,
)

"""All tables in one place, for the migrations and for nobody else."""

import ivr.models
import tickets.checklist
import tickets.dossier
import tickets.matters
import tickets.models
import tickets.outings
import tickets.reminders
import tickets.rota
import tickets.rounds
from hotline.db import Base

metadata = Base.metadata
rooms = (
    ivr.models,
    tickets.checklist,
    tickets.dossier,
    tickets.matters,
    tickets.models,
    tickets.outings,
    tickets.reminders,
    tickets.rota,
    tickets.rounds,
)

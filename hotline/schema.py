"""All tables in one place, for the migrations and for nobody else."""

import ivr.models
import ivr.takes
import tickets.books
import tickets.checklist
import tickets.devices
import tickets.dossier
import tickets.figure_days
import tickets.house_rules
import tickets.matters
import tickets.models
import tickets.outings
import tickets.reminders
import tickets.rota
import tickets.rounds
import tickets.search
import tickets.waiting_sheets
from hotline.db import Base

metadata = Base.metadata
rooms = (
    ivr.models,
    ivr.takes,
    tickets.books,
    tickets.checklist,
    tickets.devices,
    tickets.dossier,
    tickets.figure_days,
    tickets.house_rules,
    tickets.matters,
    tickets.models,
    tickets.outings,
    tickets.reminders,
    tickets.rota,
    tickets.rounds,
    tickets.search,
    tickets.waiting_sheets,
)

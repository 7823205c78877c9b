"""All tables in one place, for the migrations and for nobody else."""

import ivr.models
import tickets.checklist
import tickets.devices
import tickets.matters
import tickets.models
import tickets.outings
import tickets.reminders
import tickets.rounds
from hotline.db import Base

metadata = Base.metadata
rooms = (
    ivr.models,
    tickets.checklist,
    tickets.devices,
    tickets.matters,
    tickets.models,
    tickets.outings,
    tickets.reminders,
    tickets.rounds,
)

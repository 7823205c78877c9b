"""All tables in one place, for the migrations and for nobody else."""

import ivr.models
import tickets.dossier
import tickets.models
import tickets.rota
from hotline.db import Base

metadata = Base.metadata
rooms = (ivr.models, tickets.models, tickets.dossier, tickets.rota)

"""All tables in one place, for the migrations and for nobody else."""

import ivr.models
import tickets.devices
import tickets.models
from hotline.db import Base

metadata = Base.metadata
rooms = (ivr.models, tickets.devices, tickets.models)

"""What a message was taken to be about, as the house keeps it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime


class Suggestion(Base):
    """What one message was taken to be about when it was written down. Written by the hands with
    its transcript, never changed; `ranked` is empty where nothing was likely enough."""

    __tablename__ = "suggestions"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    recording_id: Mapped[int] = mapped_column(ForeignKey("recordings.id"), unique=True)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # the likeliest first, emergencies before all: code, name (as then), score, because, urgent
    ranked: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    certain: Mapped[bool] = mapped_column(default=False)  # enough so to be spoken of in the call
    place: Mapped[str] = mapped_column(String(20), default="")  # building-unit-room
    phone: Mapped[str | None] = mapped_column(String(16), default=None)  # E.164, as it was spoken
    times: Mapped[list[str]] = mapped_column(JSON, default_factory=list)

    @property
    def matter(self) -> str | None:
        return self.ranked[0]["code"] if self.ranked else None

    @property
    def urgent(self) -> bool:
        return bool(self.ranked and self.ranked[0]["urgent"])

"""A company that behaves like Somleng where it is peculiar."""

import uuid

from carriers.call import Call, Ending
from carriers.company import WITHHELD, Company
from carriers.document import Dial, Record


class Somleng(Company):
    """Any verb it does not know ends the call; no RecordingSid, no Digits; one status callback."""

    kind = "somleng"

    def new_sid(self, prefix: str) -> str:
        return str(uuid.uuid4())

    def shown(self, phone: str) -> str:
        return "anonymous" if phone == WITHHELD else phone.removeprefix("+")

    def form(self, call: Call) -> dict[str, str]:
        return {
            "AccountSid": self.account,
            "ApiVersion": "2010-04-01",
            "CallSid": call.sid,
            "CallStatus": call.status,
            "Direction": call.direction,
            "From": call.caller,
            "To": call.called,
        }

    def events(self, call: Call) -> list[str]:
        return [call.status]

    def recording_ends(self, call: Call, record: Record, ending: Ending, key: str) -> None:
        """`action` is called even for an empty recording, and after hanging up as before."""
        recording = self.keeps_recording(call, record.silence_seconds if ending == "silence" else 0)
        fields = {
            "RecordingUrl": f"{self.recording_url(recording)}.wav",
            "RecordingDuration": str(recording.seconds),
        }
        if ending == "hangup":
            self.posts("hangup action", record.action, self.form(call) | fields)
            call.end("completed")
        else:
            call.go_on(record.action, fields)
        self.posts("recording", record.status_callback, self.recording_form(call, recording))

    def hung_up_while_dialling(self, call: Call, dial: Dial) -> None:
        """`action` is called as if the caller were still there."""
        joined = call.child if call.bridged else None
        status = "completed" if joined else "no-answer"
        form = self.form(call) | self.dial_result(status, joined)
        self.posts("hangup action", dial.action, form)

    def unknown_verb(self, call: Call, name: str) -> None:
        call.end("completed")

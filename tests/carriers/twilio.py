"""A company that behaves like Twilio where it is peculiar."""

import uuid

from carriers.call import Call, Ending
from carriers.company import WITHHELD, Company
from carriers.document import Dial, Record

ANONYMOUS = "+266696687"


class Twilio(Company):
    """Empty recordings skip `action`; four status events, never in order; everything is signed."""

    kind = "twilio"
    signs_media = True
    capabilities = frozenset(
        {
            "whisper",
            "answer_on_bridge",
            "Timeout",
            "StatusCallbackEvent",
            "MachineDetection",
            "FallbackUrl",
            "FallbackMethod",
        }
    )

    def new_sid(self, prefix: str) -> str:
        return prefix + uuid.uuid4().hex

    def shown(self, phone: str) -> str:
        return ANONYMOUS if phone == WITHHELD else phone

    def headers(self, token: str) -> dict[str, str]:
        return {"I-Twilio-Idempotency-Token": token, "User-Agent": "TwilioProxy/1.1"}

    def form(self, call: Call) -> dict[str, str]:
        form = {
            "AccountSid": self.account,
            "ApiVersion": "2010-04-01",
            "CallSid": call.sid,
            "CallStatus": call.status,
            "Called": call.called,
            "Caller": call.caller,
            "CallerCity": "",  # blank fields are signed too
            "CallerState": "浙江",
            "Direction": call.direction,
            "From": call.caller,
            "To": call.called,
        }
        if call.parent is not None:
            form["ParentCallSid"] = call.parent.sid
        if call.answered_by:
            form["AnsweredBy"] = call.answered_by
        return form

    def events(self, call: Call) -> list[str]:
        if call.direction == "inbound":
            return ["in-progress", call.status, "ringing"]
        wanted = call.asked.get("StatusCallbackEvent", "completed").split()
        happened = {"initiated": "initiated", "ringing": "ringing", "answered": "in-progress"}
        if call.status != "completed":
            del happened["answered"]
        late = [status for event, status in happened.items() if event in wanted]
        first = [late.pop()] if late else []
        return [*first, *([call.status] if "completed" in wanted else []), *reversed(late)]

    def status_form(self, call: Call, status: str) -> dict[str, str]:
        return super().status_form(call, status) | {
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "0",
            "Timestamp": self.now().strftime("%a, %d %b %Y %H:%M:%S +0000"),
        }

    def recording_ends(self, call: Call, record: Record, ending: Ending, key: str) -> None:
        empty = not call.said_something
        if empty and ending in ("silence", "hangup"):
            return  # no action: the call goes on with the verb after <Record>, if it goes on
        recording = self.keeps_recording(call, record.silence_seconds if ending == "silence" else 0)
        fields = {
            "RecordingSid": recording.sid,
            "RecordingUrl": self.recording_url(recording),
            "RecordingDuration": str(recording.seconds),
            "Digits": "hangup" if ending == "hangup" else key,
        }
        if ending == "hangup":
            form = self.form(call) | {"CallStatus": "completed"} | fields
            self.posts("hangup action", record.action, form)
            call.end("completed")
        else:
            call.go_on(record.action, fields)
        self.posts("recording", record.status_callback, self.recording_form(call, recording))

    def hung_up_while_dialling(self, call: Call, dial: Dial) -> None:
        status = "completed" if call.bridged else "canceled"
        form = self.form(call) | {"CallStatus": "completed"} | self.dial_result(status, call.child)
        self.posts("hangup action", dial.action, form)

    def unknown_verb(self, call: Call, name: str) -> None:
        """A warning in Twilio's console; the call goes on."""

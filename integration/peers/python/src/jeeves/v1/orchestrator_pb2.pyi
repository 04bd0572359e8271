from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PipelineRequest(_message.Message):
    __slots__ = ("request_id", "session_id", "user_id", "message", "mode")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    session_id: str
    user_id: str
    message: str
    mode: str
    def __init__(self, request_id: _Optional[str] = ..., session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., message: _Optional[str] = ..., mode: _Optional[str] = ...) -> None: ...

class PipelineReply(_message.Message):
    __slots__ = ("request_id", "reply")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    reply: str
    def __init__(self, request_id: _Optional[str] = ..., reply: _Optional[str] = ...) -> None: ...

class PipelineEvent(_message.Message):
    __slots__ = ("stage", "text", "done")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    stage: StageEvent
    text: str
    done: PipelineReply
    def __init__(self, stage: _Optional[_Union[StageEvent, _Mapping]] = ..., text: _Optional[str] = ..., done: _Optional[_Union[PipelineReply, _Mapping]] = ...) -> None: ...

class StageEvent(_message.Message):
    __slots__ = ("agent", "state")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    agent: str
    state: str
    def __init__(self, agent: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

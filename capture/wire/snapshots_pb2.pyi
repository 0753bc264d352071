from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Snapshot(_message.Message):
    __slots__ = ("id", "schema_version", "sha256", "content")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    schema_version: int
    sha256: bytes
    content: bytes
    def __init__(self, id: _Optional[str] = ..., schema_version: _Optional[int] = ..., sha256: _Optional[bytes] = ..., content: _Optional[bytes] = ...) -> None: ...

class Install(_message.Message):
    __slots__ = ("id", "secret_sha256")
    ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_SHA256_FIELD_NUMBER: _ClassVar[int]
    id: str
    secret_sha256: bytes
    def __init__(self, id: _Optional[str] = ..., secret_sha256: _Optional[bytes] = ...) -> None: ...

class UploadBatchRequest(_message.Message):
    __slots__ = ("install", "snapshots")
    INSTALL_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    install: Install
    snapshots: _containers.RepeatedCompositeFieldContainer[Snapshot]
    def __init__(self, install: _Optional[_Union[Install, _Mapping]] = ..., snapshots: _Optional[_Iterable[_Union[Snapshot, _Mapping]]] = ...) -> None: ...

class UploadBatchReply(_message.Message):
    __slots__ = ("accepted_ids", "duplicate_ids", "rejected")
    ACCEPTED_IDS_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_IDS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    accepted_ids: _containers.RepeatedScalarFieldContainer[str]
    duplicate_ids: _containers.RepeatedScalarFieldContainer[str]
    rejected: _containers.RepeatedCompositeFieldContainer[Rejection]
    def __init__(self, accepted_ids: _Optional[_Iterable[str]] = ..., duplicate_ids: _Optional[_Iterable[str]] = ..., rejected: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("id", "reason", "explanation")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Rejection.Reason]
        MALFORMED: _ClassVar[Rejection.Reason]
        WRONG_SHA256: _ClassVar[Rejection.Reason]
        SCHEMA_VERSION: _ClassVar[Rejection.Reason]
        TOO_LARGE: _ClassVar[Rejection.Reason]
        ID_TAKEN: _ClassVar[Rejection.Reason]
        DELETED: _ClassVar[Rejection.Reason]
        NOT_SETTLED: _ClassVar[Rejection.Reason]
    REASON_UNSPECIFIED: Rejection.Reason
    MALFORMED: Rejection.Reason
    WRONG_SHA256: Rejection.Reason
    SCHEMA_VERSION: Rejection.Reason
    TOO_LARGE: Rejection.Reason
    ID_TAKEN: Rejection.Reason
    DELETED: Rejection.Reason
    NOT_SETTLED: Rejection.Reason
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: Rejection.Reason
    explanation: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[_Union[Rejection.Reason, str]] = ..., explanation: _Optional[str] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("installs", "selection")
    INSTALLS_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    installs: _containers.RepeatedCompositeFieldContainer[InstallProof]
    selection: Selection
    def __init__(self, installs: _Optional[_Iterable[_Union[InstallProof, _Mapping]]] = ..., selection: _Optional[_Union[Selection, _Mapping]] = ...) -> None: ...

class InstallProof(_message.Message):
    __slots__ = ("id", "secret")
    ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    id: str
    secret: bytes
    def __init__(self, id: _Optional[str] = ..., secret: _Optional[bytes] = ...) -> None: ...

class Selection(_message.Message):
    __slots__ = ("everything", "snapshot_ids", "workspace_ids", "finalised_before")
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_IDS_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_IDS_FIELD_NUMBER: _ClassVar[int]
    FINALISED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    everything: bool
    snapshot_ids: _containers.RepeatedScalarFieldContainer[str]
    workspace_ids: _containers.RepeatedScalarFieldContainer[str]
    finalised_before: float
    def __init__(self, everything: _Optional[bool] = ..., snapshot_ids: _Optional[_Iterable[str]] = ..., workspace_ids: _Optional[_Iterable[str]] = ..., finalised_before: _Optional[float] = ...) -> None: ...

class DeleteReply(_message.Message):
    __slots__ = ("deleted", "parts_to_rewrite")
    DELETED_FIELD_NUMBER: _ClassVar[int]
    PARTS_TO_REWRITE_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    parts_to_rewrite: int
    def __init__(self, deleted: _Optional[int] = ..., parts_to_rewrite: _Optional[int] = ...) -> None: ...

class PolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PolicyReply(_message.Message):
    __slots__ = ("schema_versions", "max_batch_snapshots", "max_batch_bytes", "max_snapshot_bytes", "max_snapshots_per_minute", "max_bytes_per_minute")
    SCHEMA_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_SNAPSHOT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_SNAPSHOTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    schema_versions: _containers.RepeatedScalarFieldContainer[int]
    max_batch_snapshots: int
    max_batch_bytes: int
    max_snapshot_bytes: int
    max_snapshots_per_minute: int
    max_bytes_per_minute: int
    def __init__(self, schema_versions: _Optional[_Iterable[int]] = ..., max_batch_snapshots: _Optional[int] = ..., max_batch_bytes: _Optional[int] = ..., max_snapshot_bytes: _Optional[int] = ..., max_snapshots_per_minute: _Optional[int] = ..., max_bytes_per_minute: _Optional[int] = ...) -> None: ...

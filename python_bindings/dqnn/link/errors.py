"""What goes wrong on a link."""

from __future__ import annotations

from dqnn import _core


class LinkError(Exception):
    """No way to the device, or it is not what was expected."""


class LinkTimeout(LinkError):
    """No answer came."""


class GaveUp(LinkTimeout):
    """No answer came to so many tries: what was sent may be too long for a bad line. It may have been done."""


class DeviceRefused(LinkError):
    """The device answered that it did not do it: `status` and `code` as in dqnn.h; of a file also `node`, `kernel`,
    `tensor` and `check`, None where nothing applies."""

    def __init__(self, what: str, code: int, fault: tuple[int, int, int, int] | None = None) -> None:
        self.code = code
        self.status, self.text = _core.status(code)
        none = (0xFFFF, 0xFFFF, 0xFFFF, 0)
        node, kernel, tensor, check = fault or none
        self.node, self.tensor = (None if number == 0xFFFF else number for number in (node, tensor))
        self.kernel = next((row["name"] for row in _core.kernels() if row["id"] == kernel), None)
        self.check = _core.check(check)[0] if check else None
        parts = [f"{self.text} ({self.status})", _core.check(check)[1] if check else ""]
        parts += [f"node {self.node}" if self.node is not None else "", f"kernel {self.kernel}" if self.kernel else ""]
        super().__init__(f"{what}: {', '.join(part for part in parts if part)}")

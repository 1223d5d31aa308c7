"""What a person sits in: a window, his hands, and the views he can choose from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from drive_il.datatypes import Scene
from drive_il.display import pages
from drive_il.display.cameras import PaneCamera, View, panes
from drive_il.display.hud import Instruments, Message, draw_dashboard, draw_hud
from drive_il.display.minimap import Minimap
from drive_il.display.screen import Screen
from drive_il.human import bindings, devices
from drive_il.human.bindings import MEANING, Action, Bindings
from drive_il.human.devices import Wanted
from drive_il.human.inputs import Inputs
from drive_il.human.person import Axes, Part, Person
from drive_il.maps.network import RoadNetwork
from drive_il.sitting.calibrate import calibrate

SIZE = (1280, 720)
"""of the window [pixels]"""
FPS = 60.0
"""pictures a second"""
_SHOWN_FOR = 4.0  # [s] of a message


class Left(Exception):  # noqa: N818  (no error)
    """The person has closed the window."""


@dataclass
class Timed:
    """A message and until when it is shown."""

    message: Message
    until: float


@dataclass
class Cabin:
    """Window, devices and views on one map.

    Attributes:
        network: the map.
        screen: the window.
        inputs: keys and buttons.
        person: who drives.
        bindings: what does what, for the help page.
        view: the present one.
        device_name: what the person drives with.
    """

    network: RoadNetwork
    screen: Screen
    inputs: Inputs
    person: Person
    bindings: Bindings
    view: View
    device_name: str = "keyboard"
    frames: int = 0
    _messages: list[Timed] = field(default_factory=list)
    _cameras: dict[View, list[tuple[PaneCamera, int, int]]] = field(default_factory=dict)
    _minimap: Minimap | None = None

    def look(self) -> list[Action]:
        """Hears the person; changes of view and help are seen to.

        Raises:
            Left: he has closed the window.
        """
        left = list[Action]()
        for action in self.inputs.look():
            if action is Action.VIEW:
                self.view = self.view.next()
            elif action is Action.HELP:
                self.help()
            elif action is Action.CALIBRATE:
                self.calibrate()
            else:
                left.append(action)
        if self.inputs.closed:
            raise Left
        if self.inputs.unplugged:
            self._go_on_without()
        self.person.pressed = self.inputs.pressed
        return left

    def say(self, text: str, is_bad: bool = False) -> None:
        """Shows a message for some seconds."""
        self._messages.append(Timed(Message(text, is_bad), time.monotonic() + _SHOWN_FOR))

    @property
    def messages(self) -> list[Message]:
        """What is still to be shown."""
        now = time.monotonic()
        self._messages = [one for one in self._messages if one.until > now]
        return [one.message for one in self._messages]

    def draw(self, scene: Scene, seen: Instruments | None, following: Scene | None = None) -> None:
        """Draws a scene of one row.

        Args:
            scene: what is shown.
            seen: instruments over it; None is none.
            following: what will be drawn next, where that is known: its picture is begun while
                instruments are drawn and the time of this one passes.
        """
        for camera, left, top in self._panes():
            self.screen.picture(camera.draw(scene), left, top)
        if following is not None:
            for camera, _, _ in self._panes():
                camera.begin(following)
        if self.view is View.COCKPIT:
            draw_dashboard(self.screen, 0.0 if seen is None else seen.steer)
        if seen is not None:
            draw_hud(self.screen, seen)
            if self._minimap is None:
                self._minimap = Minimap(self.network)
            self._minimap.draw(self.screen, scene, self.screen.size[0] - 206, 16)

    def show(self) -> None:
        """Shows what has been drawn."""
        self.screen.flip()
        self.frames += 1

    def _panes(self) -> list[tuple[PaneCamera, int, int]]:
        if self.view not in self._cameras:
            self._cameras[self.view] = [
                (PaneCamera(self.network, pane), pane.left, pane.top)
                for pane in panes(self.view, *self.screen.size)
            ]
        return self._cameras[self.view]

    def ask(
        self, draw: Callable[[], object], answers: Sequence[Action], backdrop: Scene | None = None
    ) -> Action:
        """Shows a page until one of some actions is chosen, and returns it.

        Raises:
            Left: the window was closed.
        """
        self.inputs.release_all()
        while True:
            if backdrop is None:
                self.screen.surface.fill((30, 34, 40))
            else:
                self.draw(backdrop, None)
            draw()
            self.show()
            self.screen.clock.tick(FPS / 2)
            for action in self.inputs.look():
                if action in answers:
                    self.inputs.release_all()
                    return action
            if self.inputs.closed:
                raise Left

    def page(
        self,
        title: str,
        lines: Sequence[str],
        foot: str,
        answers: Sequence[Action],
        backdrop: Scene | None = None,
    ) -> Action:
        """Shows a page of text until one of some actions is chosen, and returns it."""
        return self.ask(lambda: pages.page(self.screen, title, lines, foot), answers, backdrop)

    def wait(self, said: str) -> None:
        """Says what takes a while, once."""
        self.screen.surface.fill((30, 34, 40))
        pages.progress_bar(self.screen, 0.0, said)
        self.show()

    def help(self) -> None:
        """Shows which key does what until H, RETURN or ESCAPE is pressed."""
        keys, buttons = self.bindings.keys, {}
        if self.inputs.device is not None:
            buttons = dict(self.bindings.tables()[self.inputs.device.kind])
        rows = []
        for action, meaning in MEANING.items():
            names = " ".join(name.upper() for name in keys.get(action, ()))
            extra = " ".join(buttons.get(action, ()))
            if names or extra:
                rows.append((names + (f"  [{extra}]" if extra else ""), meaning))
        file = str(bindings.controls_file())
        self.ask(
            lambda: pages.help_page(self.screen, rows, file),
            (Action.HELP, Action.CONFIRM, Action.QUIT),
        )

    def calibrate(self) -> None:
        """Calibrates the device, or says that there is none."""
        device = self.inputs.device
        if device is None or device.is_gone:
            self.page(
                "Nothing to calibrate",
                [
                    "You drive with the keyboard. Plug in a wheel or gamepad, start again with "
                    "--input wheel or --input gamepad, and press K here."
                ],
                "RETURN goes back",
                (Action.CONFIRM, Action.QUIT),
            )
            return
        calibrate(self.screen, self.inputs, device)

    def _go_on_without(self) -> None:
        """Waits, after the device was unplugged, until it is back or the keyboard will do."""
        assert self.inputs.device is not None
        gone = self.inputs.device
        self.page(
            f"{gone.name} was unplugged",
            [
                "The drive stands still. Plug it in again and press RETURN; without it RETURN goes "
                "on with the keyboard."
            ],
            "RETURN goes on",
            (Action.CONFIRM,),
        )
        back = [one for one in devices.present() if one.guid == gone.guid]
        self.inputs.device = back[0] if back else None
        self.device_name = back[0].name if back else "keyboard"
        self.say(f"you drive with the {self.device_name}")

    def close(self) -> None:
        """Closes the window."""
        self.screen.close()


def sit_down(
    network: RoadNetwork,
    wanted: Wanted,
    part: Part,
    view: View = View.COCKPIT,
    size: tuple[int, int] = SIZE,
) -> Cabin:
    """Opens the window and finds the device.

    Args:
        network: the map.
        wanted: what to drive with.
        part: what the person is there for.
        view: the first one.
        size: of the window [pixels].

    Raises:
        RuntimeError: there is no display.
        ValueError: there is no such device, or the bindings cannot be understood.
    """
    chosen = bindings.load()
    screen = Screen(f"drive_il: {network.name}", size)
    device = devices.choose(wanted, devices.present())
    inputs = Inputs(chosen, device)
    cabin = Cabin(network, screen, inputs, Person(part, _axes_of(inputs)), chosen, view)
    if device is not None:
        cabin.device_name = device.name
        if device.kind == "wheel" and not device.is_calibrated:
            calibrate(screen, inputs, device)
    return cabin


def _axes_of(inputs: Inputs) -> Axes:
    return lambda: None if inputs.device is None else inputs.device.hands()

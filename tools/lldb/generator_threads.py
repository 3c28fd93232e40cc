"""Tells lldb of the generators that fringe.py has found, as threads.

lldb loads this file when fringe.py changes a setting: see "Operating System Plug-ins" in its manual.
"""

import struct

import fringe
import generator_memory

# The registers that a switch saves: names, those of the record, numbers in DWARF, generic names.
REGISTERS = (
    ("rbx", "bp", 3, None),
    ("rbp", "fp", 6, "fp"),
    ("rsp", "sp", 7, "sp"),
    ("rip", "pc", 16, "pc"),
)


class OperatingSystemPlugIn:
    def __init__(self, process):
        self.process = process

    def get_thread_info(self):
        return [
            {
                "tid": generator.place,
                "name": "generator %d" % generator.number,
                "state": "stopped",
                "stop_reason": "none",
            }
            for generator in fringe.threads_of(self.process)
        ]

    def get_register_info(self):
        registers = []
        for place, (name, _, number, generic) in enumerate(REGISTERS):
            register = {
                "name": name,
                "bitsize": 64,
                "offset": 8 * place,
                "encoding": "uint",
                "format": "hex",
                "set": 0,
                "gcc": number,
                "dwarf": number,
            }
            if generic is not None:
                register["generic"] = generic
            registers.append(register)
        return {"sets": ["General Purpose Registers"], "registers": registers}

    def get_register_data(self, tid):
        for generator in fringe.threads_of(self.process):
            if generator.place == tid:
                saved = dict(generator.registers())
                # The `nop` before the resume address: where an inlined function begins, lldb would
                # hide the frames around it.
                if generator.state != generator_memory.NOT_STARTED:
                    saved["pc"] -= 1
                return struct.pack("<4Q", *(saved[key] for _, key, _, _ in REGISTERS))
        return None

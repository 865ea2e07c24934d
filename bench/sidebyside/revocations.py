"""What a million revocations cost each request: the gateway with them beside the gateway with none, in turns."""
import hashlib
import shutil
import struct
import time

from sidebyside import wire
from sidebyside.layout import BUILD
from sidebyside.peers import Gateway, WITH_TOKEN

COUNT = 1_000_000
TOKENS_SEEN = 1000
JOURNAL = BUILD / "revocations"
JOURNAL_SECONDS = 3600       # how long the written entries hold
PORTS_INDEX = 8              # of the peers' ports: two from here


class GatewayWithRevocations(Gateway):
    """Begins with what a journal holds: nothing, or a million entries."""

    conf, ready_port = "gateway-revocations.conf", WITH_TOKEN

    def __init__(self, layout, index, name):
        super().__init__(layout, index, suffix=f"-revocations-{name}")
        self.name = name

    def start(self, cores=None, environment=None):
        state = self.folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True, mode=0o700)
        if self.name == "million":
            shutil.copyfile(JOURNAL, state / "revocations")
            (state / "revocations").chmod(0o600)
        return super().start(cores, environment)


def journal_line(text):
    """A line of the gateway's journal: its checksum is the first word of SHA-256, lowest byte first."""
    return f"{text} {struct.unpack('<I', hashlib.sha256(text.encode()).digest()[:4])[0]:08x}\n"


def write_journal(path, count, until):
    """Entries that concern nobody: keys are hashes, so any will do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as journal:
        journal.write("gateway revocations 1\n")
        for i in range(count):
            key = hashlib.sha256(b"bench %d" % i).hexdigest()[:32]
            journal.write(journal_line(f"e {key} {until:08x} 00000000"))


def run(session):
    if not Gateway.binary:
        return
    session.stop_all()
    write_journal(JOURNAL, COUNT, int(time.time()) + JOURNAL_SECONDS)
    peers = [GatewayWithRevocations(session.layout, PORTS_INDEX + i, name) for i, name in enumerate(("none", "million"))]
    try:
        for peer in peers:
            peer.start()
        for _ in range(session.rounds):
            for peer in peers:
                sample = wire.cached(session, peer, peer.port(WITH_TOKEN), TOKENS_SEEN, remembers=True)
                if sample.get("refused") or sample.get("broken"):
                    sample = {"error": f"{sample['refused']} refused, {sample['broken']} broken"}
                session.record("revocations", peer.name, sample)
                peer.check_alive()
    finally:
        for peer in peers:
            peer.stop()
        JOURNAL.unlink(missing_ok=True)

"""Makes an image of busybox-static, so that real nodes have something to run where no registry can be reached.

    python tools/busybox_image.py busybox.tar
    python tools/busybox_image.py clock.tar localhost/clock:1 'while sleep 1; do date; done'
    muster up --runtime containers --load-image busybox.tar --load-image clock.tar

Without a name it is docker.io/library/busybox:latest, whose command is a shell.  With a script the image runs that,
whatever arguments a manifest gives it.
"""
import io
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from muster.node.image_archive import Entry, archive  # noqa: E402

PROGRAM = Path("/bin/busybox")
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = b"root:x:0:\nnogroup:x:65534:\n"


def files() -> dict[str, Entry]:
    applets = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True).stdout.split()
    folders = ("bin", "etc", "root", "usr", "usr/bin", "var", "var/log", "proc", "sys", "dev")
    made = {folder: Entry(mode=0o755) for folder in folders}
    made["tmp"] = Entry(mode=0o1777)
    made["bin/busybox"] = Entry(PROGRAM.read_bytes(), 0o755)
    made |= {f"bin/{name}": Entry(link="/bin/busybox") for name in applets if name != "busybox"}
    return made | {"etc/passwd": Entry(PASSWD), "etc/group": Entry(GROUP)}


def main(target: str, name: str = "docker.io/library/busybox:latest", script: str = "") -> None:
    entrypoint = ["sh", "-c", script, "sh"] if script else []
    made = archive(name, files(), entrypoint=entrypoint, command=[] if script else ["sh"])
    tarfile.open(fileobj=io.BytesIO(made)).close()  # it can be read
    Path(target).write_bytes(made)


if __name__ == "__main__":
    main(*sys.argv[1:])

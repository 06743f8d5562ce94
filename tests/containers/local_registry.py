"""A registry of a few images on this machine, as containerd pulls from it: manifests and blobs, nothing else.

What is below `private/` is for ann with the password `secret` alone.
"""
import base64
import io
import json
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LET_IN = "Basic " + base64.b64encode(b"ann:secret").decode()


@contextmanager
def registry(address, archives):
    """`archives`: "team/app:1" -> the archive of the image.  Yields its port, and the paths that were asked for."""
    manifests, blobs, asked = {}, {}, []
    for name, archive in archives.items():
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}
        digest = json.loads(files["index.json"])["manifests"][0]["digest"]
        blobs |= {f"sha256:{path[-64:]}": content for path, content in files.items() if path.startswith("blobs/")}
        repository, _, tag = name.partition(":")
        manifests |= {(repository, tag): digest, (repository, digest): digest}

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = self.path.partition("?")[0]
            asked.append(path)
            if path.startswith("/v2/private/") and self.headers["Authorization"] != LET_IN:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="private"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            repository, _, last = path.removeprefix("/v2/").rpartition("/")
            if repository.endswith("/manifests"):
                digest, media = manifests.get((repository.removesuffix("/manifests"), last)), "manifest.v1+json"
            else:
                digest, media = last if last in blobs else None, "octet"
            body = blobs.get(digest, b"")
            self.send_response(200 if digest else 404)
            self.send_header("Content-Type", f"application/vnd.oci.image.{media}" if "json" in media else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            if digest:
                self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *arguments):
            """Nobody reads it."""

    server = ThreadingHTTPServer((address, 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()

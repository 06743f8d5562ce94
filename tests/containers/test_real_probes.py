"""Probes over gRPC and HTTPS against real pods: servers in Python, run from the machine's own files inside a pod."""
import datetime
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from real_nodes import pod

HEALTH = """
import grpc, os, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
def check(request, context):
    if request[2:] == b"slow": threading.Event().wait(5)
    return b"\\x08\\x01" if os.path.exists(sys.argv[1]) else b"\\x08\\x02"
server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
    "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)})])
server.add_insecure_port("0.0.0.0:5000")
server.start()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server.wait_for_termination()
"""
WEB = """
import http.server, os, signal, ssl, sys
class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        is_well = self.path == "/well" and self.headers["X-Who"] == "me"
        self.send_response(200 if is_well else 302 if self.path == "/moved" else 503)
        if self.path == "/moved": self.send_header("Location", "/well")
        self.end_headers()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), Pages)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def python(script, *arguments, **more):
    """A container that sees the machine's files, and runs its Python on them."""
    return {"name": "app", "image": "busybox", "imagePullPolicy": "IfNotPresent",
            "command": ["chroot", "/host", "env", f"PYTHONPATH={':'.join(path for path in sys.path if path)}", sys.executable, "-c", script,
                        *map(str, arguments)],
            "volumeMounts": [{"name": "host", "mountPath": "/host"}], **more}


def host(**spec):
    return {"volumes": [{"name": "host", "hostPath": {"path": "/"}}], **spec}


def quick(**probe):
    return {"periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 2, **probe}


@pytest.fixture
def certificate(tmp_path):
    """For nobody, signed by itself: probes do not look."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = datetime.datetime.now(datetime.UTC)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=2)).not_valid_after(now - datetime.timedelta(days=1))
            .sign(key, hashes.SHA256()))
    (tmp_path / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                         serialization.NoEncryption()))
    return tmp_path / "tls.crt", tmp_path / "tls.key"


def readiness(space, name, value):
    return space.until(name, lambda seen: next((one["status"] for one in seen["status"].get("conditions", ())
                                                if one["type"] == "Ready"), None) == value)


def test_grpc(space, tmp_path):
    """Ready for as long as the server says SERVING; restarted when it does not answer in time."""
    well = tmp_path / "well"
    space.apply(pod("web", python(HEALTH, well, readinessProbe=quick(grpc={"port": 5000}), startupProbe=quick(tcpSocket={"port": 5000}, failureThreshold=60)),
                    **host()),
                pod("slow", python(HEALTH, well, livenessProbe=quick(grpc={"port": 5000, "service": "slow"}, timeoutSeconds=1),
                                   startupProbe=quick(tcpSocket={"port": 5000}, failureThreshold=60)), **host()))
    space.until("web", lambda seen: seen["status"].get("containerStatuses", [{}])[0].get("started"))
    readiness(space, "web", "False")
    well.touch()
    readiness(space, "web", "True")
    well.unlink()
    readiness(space, "web", "False")
    events = "\n".join(space.events("web"))
    assert 'Warning Unhealthy Readiness probe failed: service unhealthy (responded with "NOT_SERVING")' in events
    space.until("slow", lambda seen: seen["status"]["containerStatuses"][0]["restartCount"] >= 1)
    events = "\n".join(space.events("slow"))
    assert "Warning Unhealthy Liveness probe failed: timeout: health rpc did not complete within 1s" in events
    assert "Normal Killing Container app failed liveness probe, will be restarted" in events


def test_https(space, certificate):
    """Whoever's certificate it is; redirects are followed, headers are sent."""
    me = {"httpHeaders": [{"name": "X-Who", "value": "me"}]}

    def asked(path, **more):
        return {"httpGet": {"port": "tls", "path": path, "scheme": "HTTPS", **more}}
    ports = [{"name": "tls", "containerPort": 8443}]
    space.apply(*(pod(name, python(WEB, *certificate, ports=ports, readinessProbe=quick(**asked(path, **more)),
                                   startupProbe=quick(tcpSocket={"port": "tls"}, failureThreshold=60)), **host())
                  for name, path, more in (("well", "/well", me), ("moved", "/moved", me), ("unknown", "/well", {}))))
    readiness(space, "well", "True")
    readiness(space, "moved", "True")
    space.until("unknown", lambda seen: any("statuscode: 503" in line for line in space.events("unknown")))
    assert readiness(space, "unknown", "False")["status"]["containerStatuses"][0]["restartCount"] == 0

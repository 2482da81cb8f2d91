"""A proxy before an API server that is older than the products under test: one kind has an older version's name there, with
the same fields. Nothing else is changed."""

import http.client
import http.server
import ssl
import threading

NEW, OLD = "policy/v1", "policy/v1beta1"


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_host, context = None, None
    # What was asked to be changed: paths.
    writes = []

    def forward(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).replace(f'"{NEW}"'.encode(), f'"{OLD}"'.encode())
        path = self.path.replace(f"/apis/{NEW}/", f"/apis/{OLD}/")
        if self.command != "GET":
            Proxy.writes.append(f"{self.command} {path}")
        there = http.client.HTTPSConnection(self.server_host, timeout=30, context=self.context)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length", "accept-encoding")}
        try:
            there.request(self.command, path, body or None, headers)
            answer = there.getresponse()
            content = answer.read().replace(f'"{OLD}"'.encode(), f'"{NEW}"'.encode())
        except OSError as error:
            self.send_error(502, str(error))
            return
        finally:
            there.close()
        try:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            # Whoever asked was killed meanwhile.
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *_):
        pass


def serve(address, host, certificate):
    """Serves with TLS at an address, for an API server at a host and port."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    Proxy.server_host, Proxy.context = host, context
    inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inner.load_cert_chain(*certificate)
    server = http.server.ThreadingHTTPServer(address, Proxy)
    # A handshake is for the thread of its connection, not for the one that accepts.
    server.socket = inner.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()

import LibvirtClient
import Testing

@Suite("URIs of daemons")
struct ConnectionURITests {
    @Test("All parts")
    func parts() throws {
        let uri = try ConnectionURI("qemu+ssh://some%20one@[fe80::1]:2222/system?socket=/a%2Fb&no_tty=1&x=y#z")
        #expect(uri.driver == "qemu")
        #expect(uri.transport == .ssh)
        #expect(uri.user == "some one")
        #expect(uri.host == "fe80::1")
        #expect(uri.port == "2222")
        #expect(uri.path == "/system")
        #expect(uri["socket"] == "/a/b")
        #expect(uri.remoteName == "qemu:///system?x=y")
    }

    @Test(
        "What the transport is without its name",
        arguments: [
            ("qemu:///session", ConnectionURI.Transport.unix), ("qemu://host/system", .tls),
            ("qemu+tcp://h/system", .tcp),
            ("qemu+unix:///system", .unix),
        ])
    func transports(text: String, transport: ConnectionURI.Transport) throws {
        #expect(try ConnectionURI(text).transport == transport)
    }

    @Test("What is no URI", arguments: ["", "qemu", "qemu:/x", "qemu+foo:///system", "qemu://h:99999/system", "://x"])
    func malformed(text: String) {
        #expect(throws: (any Error).self) { _ = try ConnectionURI(text) }
    }
}

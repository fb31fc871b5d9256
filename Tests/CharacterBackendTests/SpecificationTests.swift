import CharacterBackend
import Testing

@Suite struct SpecificationTests {
    private func parse(_ text: String) throws -> ChardevSpecification? {
        guard case .chardev(let specification, _) = try SerialArgument(text) else { return nil }
        return specification
    }

    @Test func plainForms() throws {
        #expect(try SerialArgument("none") == .none)
        #expect(try SerialArgument("chardev:c0") == .reference("c0"))
        #expect(try SerialArgument("null") == .chardev(ChardevSpecification(.null), withMonitor: false))
        #expect(try parse("stdio") == ChardevSpecification(.stdio(signals: true)))
        #expect(try parse("pty") == ChardevSpecification(.pty))
        #expect(try parse("vc:80Cx24C") == ChardevSpecification(.virtualConsole))
        #expect(try parse("file:/tmp/a,b:c") == ChardevSpecification(.file(path: "/tmp/a,b:c", append: false)))
        #expect(try parse("pipe:/tmp/p") == ChardevSpecification(.pipe(path: "/tmp/p")))
        #expect(
            try SerialArgument("mon:stdio")
                == .chardev(ChardevSpecification(.stdio(signals: false), isMultiplexed: true), withMonitor: true))
    }

    @Test func sockets() throws {
        let unix = SocketSpecification.Endpoint.unix(path: "/run/s.sock")
        #expect(try parse("unix:/run/s.sock") == ChardevSpecification(.socket(SocketSpecification(unix))))
        #expect(
            try parse("unix:/run/s.sock,server=on,wait=off")
                == ChardevSpecification(.socket(SocketSpecification(unix, isServer: true, waits: false))))
        #expect(
            try parse("unix:/run/s.sock,server,nowait")
                == ChardevSpecification(.socket(SocketSpecification(unix, isServer: true, waits: false))))
        #expect(
            try parse("unix:a,,b,server")
                == ChardevSpecification(.socket(SocketSpecification(.unix(path: "a,b"), isServer: true))))
        let tcp = SocketSpecification.Endpoint.tcp(host: "::1", port: "4444")
        #expect(
            try parse("tcp:[::1]:4444,nodelay=on,reconnect=3,logfile=l,logappend=on")
                == ChardevSpecification(
                    .socket(SocketSpecification(tcp, reconnectMilliseconds: 3000, noDelay: true)), logFile: "l",
                    logAppends: true))
        #expect(
            try parse("telnet::23,server=on,wait=off")
                == ChardevSpecification(
                    .socket(
                        SocketSpecification(.tcp(host: "", port: "23"), isServer: true, waits: false, isTelnet: true))))
        #expect(
            try parse("udp:1.2.3.4:5@:6")
                == ChardevSpecification(.udp(host: "1.2.3.4", port: "5", localHost: "", localPort: "6")))
        #expect(SocketSpecification(tcp, isServer: true).description == "tcp:[::1]:4444,server=on")
    }

    @Test(arguments: [
        "", "bogus", "bogus:x", "file:", "pipe:", "chardev:", "unix:", "unix:,server", "tcp:host", "tcp:host:",
        "tcp:host:65536", "tcp:h:1,server=maybe", "tcp:h:1,reconnect=-1", "tcp:h:1,reconnect=99999999999999999999",
        "tcp:h:1,colour=red", "unix:a,nodelay", "mon:", "mon:none", "mon:mon:stdio", "udp:h",
        "tcp:h:1,server,reconnect=1",
        "tcp:h:1,",
    ])
    func malformedFormsAreErrors(_ text: String) {
        #expect(throws: ChardevError.self) { try SerialArgument(text) }
    }

    @Test func errorsNameTheValue() {
        let error = #expect(throws: ChardevError.self) { try SerialArgument("tcp:h:1,server=maybe") }
        #expect(error?.description == "Invalid value 'maybe' of 'server': 'on' or 'off' expected")
    }
}

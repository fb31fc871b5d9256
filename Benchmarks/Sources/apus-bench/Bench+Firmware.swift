import Foundation

/// How long machines take that start by firmware, as users' do: SeaBIOS, GRUB's menu on Debian's rescue disc, and the
/// login prompt of a Debian on a disk. And how often viewers by VNC see a picture that never stands still.
extension Bench {
    private static let disc = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"

    func firmware() {
        for board in ["pc", "q35"] {
            steps(
                ["\(board), to SeaBIOS's hand-over", "\(board), to GRUB's menu"],
                ["Booting from DVD/CD", "highlighted entry will be executed"], board, needs: Self.disc,
                ["-m", "128", "-cdrom", Self.disc, "-boot", "d"])
        }
        for board in ["pc", "q35"] {
            steps(
                ["\(board), to the login prompt"], ["apus-debian login:"], board, needs: options.bootDisk,
                ["-m", "\(options.memory)", "-drive", "file=\(options.bootDisk),snapshot=on"])
        }
    }

    /// Rows of one start: when each text comes, one after the other.
    private func steps(_ rows: [String], _ texts: [String], _ board: String, needs file: String, _ arguments: [String])
    {
        guard rows.contains(where: { options.wants($0, .firmware) }) else { return }
        guard FileManager.default.fileExists(atPath: file) else {
            for row in rows { print("\(row): skipped, there is no \(file)") }
            return
        }
        var times = rows.map { _ in Times() }
        for round in 0..<options.rounds {
            var found = rows.map { _ in [Side: Double]() }
            for side in order(round) {
                do {
                    let machine = try startFirmware(side, board, arguments)
                    for (index, text) in texts.enumerated() {
                        let at = try machine.wait(forText: text, limit: options.limit)
                        found[index][side] = (at - machine.start) / .seconds(1)
                    }
                    machine.end()
                } catch { times[0].trouble = "\(side.rawValue): \(error)" }
            }
            for index in rows.indices { add(found[index], to: &times[index]) }
        }
        for (row, times) in zip(rows, times) { Table.row(row, times, goal: 1) }
    }

    private func startFirmware(_ side: Side, _ board: String, _ arguments: [String]) throws -> Machine {
        let program = side == .peer ? options.peer : options.program
        return try Machine(
            Options.path(of: program) ?? program,
            [
                "-accel", side == .peer ? "tcg,thread=multi" : "tcg", "-M", board, "-cpu", options.processor,
                "-nographic",
                "-nic", "none", "-no-reboot",
            ] + arguments)
    }

    // MARK: Motion

    /// Seconds an update: a boot sector paints 1024 by 768 pixels over and over, each time in another colour.
    func motion() {
        let encodings = [("raw", 0), ("Tight", 7), ("ZRLE", 16)]
        func name(_ encoding: String) -> String { "an update by VNC, \(encoding)" }
        guard encodings.contains(where: { options.wants(name($0.0), .screen) }) else { return }
        for file in [options.motion, options.viewer] where !FileManager.default.fileExists(atPath: file) {
            print("screen: skipped, there is no \(file)")
            return
        }
        for (encoding, number) in encodings where options.wants(name(encoding), .screen) {
            var times = Times()
            for round in 0..<options.rounds {
                var found: [Side: Double] = [:]
                for side in order(round) {
                    do { found[side] = 1 / (try updates(side, number)) } catch {
                        times.trouble = "\(side.rawValue): \(error)"
                    }
                }
                add(found, to: &times)
            }
            Table.row(name(encoding), times, goal: 1)
        }
    }

    /// Updates a second, for two seconds.
    private func updates(_ side: Side, _ encoding: Int) throws -> Double {
        let socket = folder.appendingPathComponent("vnc").path
        try? FileManager.default.removeItem(atPath: socket)
        let program = side == .peer ? options.peer : options.program
        let machine = try Machine(
            Options.path(of: program) ?? program,
            [
                "-accel", side == .peer ? "tcg,thread=multi" : "tcg", "-m", "32", "-nodefaults", "-vga", "std",
                "-serial",
                "null", "-monitor", "none", "-drive", "file=\(options.motion),format=raw,if=ide,snapshot=on", "-vnc",
                "unix:\(socket)",
            ])
        defer { machine.end() }
        for _ in 0..<200 where !FileManager.default.fileExists(atPath: socket) { usleep(50_000) }
        let viewer = Process()
        let output = Pipe()
        viewer.executableURL = URL(fileURLWithPath: options.viewer)
        viewer.arguments = [socket, "\(encoding)", "2"]
        viewer.standardOutput = output
        try viewer.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        viewer.waitUntilExit()
        guard let number = said.split(separator: " ").first.flatMap({ Double($0) }), number > 0 else {
            throw Machine.Failed(description: "the viewer says: \(said)")
        }
        return number
    }
}

internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import RPCWire

/// The clients of a screen, which follow their machine.
extension DomainDriver {
    /// Tells a machine that is about to go where its screen will be: as the client says, or else the destination. Viewers of
    /// VNC have no word for it.
    ///
    /// - Returns: whether clients will be told.
    func relocateScreen(
        _ monitor: QMPClient, _ live: XMLTree, _ request: MigrationRequest, _ theirs: MigrationCookie
    ) throws(LibvirtError) -> Bool {
        guard DomainFigures.devices(live, "graphics").contains(where: { $0["type"] == "spice" }) else { return false }
        var place = theirs.screen
        for parameter in request.others where parameter.field == "graphics_uri" {
            if case .string(let uri) = parameter.value { place = try ScreenPlace(uri: uri) }
        }
        guard let place else { return false }
        do throws(LibvirtError) {
            try monitor.execute("client_migrate_info", place.arguments(hostName: theirs.hostName))
            return true
        } catch {
            // The machine goes all the same.
            log.warning("Clients of a screen do not follow their machine: \(error)")
            return false
        }
    }

    /// Waits until clients know where to go; not for ever, as they may have other things to do.
    func awaitScreen(_ machine: RunningMachine) {
        let deadline = HostClock.monotonic + 5_000_000_000
        let pause = Bell()
        while HostClock.monotonic < deadline, let monitor = machine.monitor,
            let answer = try? monitor.execute("query-spice"), answer["migrated"]?.boolValue == false
        { pause.wait(nanoseconds: 10_000_000) }
    }
}

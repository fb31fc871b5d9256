internal import BlockImage
internal import DeviceModel
public import HostOS
internal import Log
internal import MachineState
internal import Synchronization
internal import TLS

// Memory that follows a machine which runs at the other end already.
extension VirtualMachine {
    public func startLateMigration() throws(MachineError) {
        guard desk.settings.has("postcopy-ram") else {
            throw .failed("Capability 'postcopy-ram' has to be on before a migration starts")
        }
        try desk.state.withLock { (state) throws(MachineError) in
            guard state.information.status.isUnderWay, !state.information.isIncoming else {
                throw .failed("There is no migration on its way")
            }
            state.wantsLate = true
        }
    }

    func sendLate(
        _ writer: inout StateWriter, _ pages: GuestPages, _ first: MigrationChannel, _ late: LateSender,
        _ plan: JourneyPlan, _ stopped: UInt64, _ journey: inout Journey
    ) throws(StateError) {
        var channel = first
        var isGiven = false
        func note() {
            _ = desk.update { information in
                information.transferred = channel.written
                information.requests = late.requests
                information.remaining = late.remaining << 12
                information.zeroPages = pages.counters.zeroPages
                information.fullPages = pages.counters.fullPages
            }
        }
        while true {
            do throws(StateError) {
                channel.setLimit(isGiven ? desk.settings.lateBandwidth : 0)
                let begin = { () throws(StateError) -> Void in
                    try self.giveImages()
                    isGiven = true
                    self.state.withLock { $0.runState = .postMigrate }
                    self.change { information in
                        information.status = .postcopyActive
                        information.downtime = (HostClock.monotonic - stopped) / 1_000_000
                    }
                    channel.setLimit(self.desk.settings.lateBandwidth)
                }
                let isFirst = !isGiven
                try late.run(channel, &writer, pages, begin: isFirst ? begin : nil) { () throws(StateError) in
                    note()
                    if !isGiven, self.desk.isCancelled { throw .cancelled }
                }
                note()
                // The other end closes when it has everything.
                try? writer.finish()
                try? channel.finish()
                journey.stood = false
                _ = desk.update { $0.bytesLate = $0.transferred &- min($0.transferred, $0.bytesBefore) }
                return
            } catch {
                guard isGiven else { throw error }
                journey.stood = false
                log.warning("The connection of a machine that has left is broken: \(error)")
                change { $0.status = .postcopyPaused }
            }
            repeat {
                channel = try awaitReplacement()
                do throws(StateError) {
                    change { $0.status = .postcopyRecover }
                    writer = try StateWriter(channel)
                    var words = DeviceState(version: 1)
                    words.set("token", plan.token)
                    try writer.write(words, section: LateWord.resume)
                    try late.resume(channel, pages.blocks)
                    change { $0.status = .postcopyActive }
                } catch {
                    channel.cancel()
                    log.warning("The machine that has left does not go on: \(error)")
                    change { $0.status = .postcopyPaused }
                }
            } while desk.information.status != .postcopyActive
        }
    }

    func awaitReplacement() throws(StateError) -> MigrationChannel {
        while true {
            let channel = desk.state.withLock { state -> MigrationChannel? in
                defer { state.replacement = nil }
                return state.replacement
            }
            if let channel {
                desk.use(channel)
                return channel
            }
            if state.withLock({ $0.hasEnded }) { throw .cancelled }
            Bell().wait(nanoseconds: 10_000_000)
        }
    }

    public func resumeMigration(to address: String, descriptor: Descriptor?) throws(MachineError) {
        guard desk.information.status == .postcopyPaused, !desk.information.isIncoming else {
            throw .failed("Cannot resume if there is no paused migration")
        }
        let place = try MigrationAddress(address)
        guard place.isSocket else { throw .failed("A migration is resumed over a socket, not '\(address)'") }
        do throws(StateError) {
            let channel = try openChannel(to: place, descriptor)
            desk.state.withLock { $0.replacement = channel }
        } catch { throw .failed(error.description) }
    }

    public func pauseMigration() throws(MachineError) {
        let (information, channel, late) = desk.state.withLock { ($0.information, $0.channel, $0.lateReceiver) }
        // Who comes to go on and says nothing is broken off as well.
        guard information.status == .postcopyActive || information.status == .postcopyRecover else {
            throw .failed("No migration whose memory follows is on its way")
        }
        if information.isIncoming { late?.breakOff() } else { channel?.cancel() }
    }
}

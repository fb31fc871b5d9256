internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import NetworkSwitch

/// Taps of machines' cards: opened here and handed over, so that no machine needs the right to make any.
extension NetworkDriver {
    /// Opens the tap of a card that is to be on a bridge, a queue each for as many as the card has. It goes with the
    /// machine.
    func tap(
        _ interface: inout NetworkInterface, _ taken: inout Set<String>, _ passed: inout Passed
    ) throws(LibvirtError) -> LaunchPlan.Attachment {
        let device = name(&interface, &taken)
        let count = Int(min(max(interface.driver?.queues ?? 1, 1), 64))
        var known: [String] = []
        do throws(HostError) {
            for index in 0..<count {
                let queue = try TapDevice(name: device, hasHeaders: true, hasManyQueues: count > 1)
                known.append(passed.add(queue.descriptor, index == 0 ? device : "\(device)-\(index)"))
            }
        } catch { throw NetworkDriver.fail(.system("\(error)")) }
        return .openTap(known.joined(separator: ":"))
    }
}

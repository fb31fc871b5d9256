internal import HostOS

/// Whom the host's kernel knows on its own networks.
public enum HostNeighbours {
    /// The addresses by which the host reaches a card, those of the link last.
    public static func addresses(of card: HardwareAddress) -> [String] {
        addresses(of: card, in: (try? HostTools.run("ip", ["neigh", "show"])) ?? "")
    }

    /// Reads what `ip neigh` writes: `192.168.122.78 dev virbr0 lladdr 52:54:00:00:00:01 REACHABLE`.
    package static func addresses(of card: HardwareAddress, in text: String) -> [String] {
        var found: [String] = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard let place = words.firstIndex(of: "lladdr"), place + 1 < words.count,
                HardwareAddress(words[place + 1]) == card, words.last != "FAILED", !found.contains(words[0])
            else { continue }
            found.append(words[0])
        }
        return found.filter { !$0.hasPrefix("fe80:") } + found.filter { $0.hasPrefix("fe80:") }
    }
}

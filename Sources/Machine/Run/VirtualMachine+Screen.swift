internal import Display
internal import HostOS

extension VirtualMachine {
    public func saveScreen(
        device: String?, head: Int, format: PictureFormat, to path: String
    ) throws(MachineError) {
        let screen: Screen
        if let device {
            // Of an adapter with several heads each has a screen.
            let name = head == 0 ? device : "\(device).\(head)"
            guard let found = board.screens.first(where: { $0.name == name }) else {
                guard !board.screens.contains(where: { $0.name == device }) else {
                    throw .failed("Device '\(device)' has no head \(head)")
                }
                throw .failed(
                    board.tree.contains { $0.node.id == device }
                        ? "Device '\(device)' has no picture" : "Device '\(device)' not found")
            }
            screen = found
        } else {
            guard head == 0 else { throw .failed("'head' must be specified together with 'device'") }
            guard let first = board.screens.first else {
                throw .failed("There is no console to take a screendump from.")
            }
            screen = first
        }
        let picture = screen.picture
        let bytes = format == .png ? PictureFile.png(picture) : PictureFile.ppm(picture)
        do throws(HostError) { try HostFile.open(path, HostFile.Mode.replace).writeAll(bytes) } catch {
            throw .failed("failed to write the picture: \(error)")
        }
    }
}

internal import CLinux

extension Descriptor {
    /// The size of the terminal behind it in characters, 80 by 24 where the terminal does not know; nil for what is no
    /// terminal, or is gone.
    public var windowSize: (columns: Int, rows: Int)? {
        var (columns, rows): (Int32, Int32) = (0, 0)
        // SAFETY: the numbers outlive the call.
        guard unsafe apus_window_size(rawValue, &columns, &rows) == 0 else { return nil }
        return (columns > 0 ? Int(columns) : 80, rows > 0 ? Int(rows) : 24)
    }
}

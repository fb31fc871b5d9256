internal import Glibc

/// How often tests with random or hostile input go round: `make test` runs each as often as it says, `make fuzz`
/// `APUS_FUZZ_ROUNDS` times as often.
public enum FuzzRounds {
    /// What the environment multiplies rounds by: at least 1.
    public static let factor: Int = {
        // SAFETY: nothing changes the environment of a running test.
        guard let text = unsafe getenv("APUS_FUZZ_ROUNDS") else { return 1 }
        return unsafe min(max(1, Int(String(cString: text)) ?? 1), 999_999)
    }()

    /// So many rounds of a usual run.
    public static func times(_ rounds: Int) -> Int { rounds * factor }
}

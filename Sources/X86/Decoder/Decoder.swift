/// Decodes x86 machine code of every mode.
public enum Decoder {}

// The engine is not finished: see Package.swift, which names what is compiled of it.

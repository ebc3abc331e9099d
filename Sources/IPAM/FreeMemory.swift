import Glibc

/// Gives memory that was freed back to the system: the C library keeps it, in pieces between memory in use. Thread-safe; takes some
/// milliseconds for a gigabyte. Nothing is done where the C library has no such call.
public func releaseFreeMemory() {
    // Looked up by name, since Glibc's module leaves the header out that declares it.
    guard let symbol = dlsym(nil, "malloc_trim") else { return }
    // Proof: `int malloc_trim(size_t)`, malloc_trim(3).
    _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> Int32).self)(0)
}

// A mark for large values that live in tables: they are used where they lie.
public import Synchronization

/// A struct that holds one is always passed by its address. Without it the compiler may copy a large struct whole before it
/// calls a function that only borrows it, even a getter; some twenty such copies cost a tenth of a request. (Atomic is a
/// type without a value representation, and so is then everything that contains it; nobody ever reads it.)
@frozen public struct InPlace: ~Copyable {
    @usableFromInline let address: Atomic<UInt8>

    @inlinable public init() { address = Atomic(0) }
}

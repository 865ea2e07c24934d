// A large array of numbers that begin as zero. Owns its allocation and frees it in deinit; the pages become memory only when
// they are first written, so room for many costs nothing until there are many, and go back to the system with the array.
import Glibc

@frozen @safe public struct ZeroedArray<Element: FixedWidthInteger & BitwiseCopyable>: ~Copyable {
    /// From here on pages of the kernel are asked for directly: the allocator keeps what it was given back, and clears what it
    /// gives out again by writing it.
    @usableFromInline static var mappedBytes: Int { 1 << 20 }

    @usableFromInline let base: UnsafeMutablePointer<Element>
    public let count: Int

    public init(count: Int) {
        let bytes = count * MemoryLayout<Element>.stride
        var memory: UnsafeMutableRawPointer?
        if bytes >= Self.mappedBytes {
            unsafe memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            if unsafe memory == MAP_FAILED { unsafe memory = nil }
        } else {
            unsafe memory = calloc(max(count, 1), MemoryLayout<Element>.stride)
        }
        guard let memory = unsafe memory else { fatalError("out of memory") }
        unsafe base = unsafe memory.bindMemory(to: Element.self, capacity: count)
        self.count = count
    }
    deinit {
        let bytes = count * MemoryLayout<Element>.stride
        if bytes >= Self.mappedBytes { unsafe munmap(base, bytes) } else { unsafe free(base) }
    }

    @inlinable public subscript(i: Int) -> Element {
        @inline(__always) _read { precondition(i >= 0 && i < count); yield unsafe base[i] }
        @inline(__always) _modify { precondition(i >= 0 && i < count); yield unsafe &base[i] }
    }
}

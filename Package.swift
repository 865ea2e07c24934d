// swift-tools-version: 6.2
// Every target and every edge that is allowed between them; TidyTests compares the imports with this list.
import PackageDescription

let settings: [SwiftSetting] = [
    .strictMemorySafety(), .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"), .enableExperimentalFeature("Lifetimes"),
]
let testSettings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
]
// The toolchain's own linker is faster than the system's, and packs the addresses that depend on where the program is loaded
// (DT_RELR): Swift has tens of thousands, which each start would read.
let linking: [LinkerSetting] = [.unsafeFlags(["-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs"])]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}
func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: resources, swiftSettings: testSettings)
}

let package = Package(
    name: "gateway",
    products: [
        .executable(name: "gateway", targets: ["gateway"]),
        .executable(name: "backend", targets: ["backend"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        // 0: system headers and static inline shims
        .target(name: "CScan", cSettings: [.unsafeFlags(["-O2"])]),
        .target(name: "CLinux", cSettings: [.unsafeFlags(["-O2"])]),
        .target(name: "CWebApp", exclude: ["files"]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CArgon2", pkgConfig: "libargon2", providers: [.apt(["libargon2-dev"])]),
        // 1–8: a strict order, see docs/architecture.md
        library("Bytes", ["CScan"]),
        library("JSON", ["Bytes"]),
        library("HTTP", ["Bytes"]),
        library("Reactor", ["Bytes", "CLinux"]),
        library("Telemetry", ["Bytes", "JSON"]),
        library("JOSE", ["Bytes", "JSON", "COpenSSL"]),
        library("Configuration", ["Bytes", "JSON", "HTTP", "JOSE"]),
        library("HTTP2", ["Bytes", "HTTP", "CNGHTTP2"]),
        library("Transport", ["Bytes", "Reactor", "COpenSSL"]),
        library("Connections", ["Bytes", "HTTP", "HTTP2", "Transport", "Reactor"]),
        library("Policy", ["Bytes", "JSON", "HTTP", "JOSE", "Configuration", "CPCRE2"]),
        library(
            "Proxy",
            [
                "Bytes", "JSON", "HTTP", "JOSE", "Configuration", "Telemetry", "Reactor", "Transport", "Connections",
                "Policy", "CHiredis",
            ]),
        .executableTarget(
            name: "gateway",
            dependencies: [
                "Proxy", "Policy", "Configuration", "JOSE", "HTTP", "JSON", "Telemetry", "Bytes",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: settings, linkerSettings: linking),
        .executableTarget(
            name: "backend",
            dependencies: [
                "CArgon2", "CHiredis", "CLibCrypto", "CWebApp",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(
                    name: "Configuration", package: "swift-configuration",
                    moduleAliases: ["Configuration": "SwiftConfiguration"]),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: settings, linkerSettings: linking),
        // Signs tokens for the tests of two targets; no product depends on it.
        .target(
            name: "TokenSigning", dependencies: ["Bytes", "JOSE", "COpenSSL"], path: "Tests/TokenSigning",
            swiftSettings: testSettings),
        .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: testSettings),
        tests("BytesTests", ["Bytes", "SeededRandom"]),
        tests("JSONTests", ["JSON", "Bytes"]),
        tests("HTTPTests", ["HTTP", "Bytes"]),
        tests("HTTP2Tests", ["HTTP2", "HTTP", "Bytes", "SeededRandom"]),
        tests("ReactorTests", ["Reactor", "Bytes", "SeededRandom"]),
        tests("TelemetryTests", ["Telemetry", "Bytes", "JSON", "SeededRandom"]),
        tests("JOSETests", ["JOSE", "JSON", "Bytes", "SeededRandom", "TokenSigning"]),
        tests("ConfigurationTests", ["Configuration", "HTTP", "JOSE", "Bytes"], resources: ["Golden"]),
        tests("PolicyTests", ["Policy", "Configuration", "JOSE", "HTTP", "JSON", "Bytes", "TokenSigning"]),
        tests("TransportTests", ["Transport", "COpenSSL", "SeededRandom"]),
        tests("ConnectionsTests", ["Connections", "Transport", "Reactor", "HTTP", "Bytes"]),
        tests(
            "ProxyTests",
            [
                "Proxy", "Policy", "Configuration", "Telemetry", "JOSE", "Connections", "Transport", "Reactor", "HTTP",
                "Bytes",
            ]),
        tests("TidyTests", []),
    ],
    swiftLanguageModes: [.v6]
)

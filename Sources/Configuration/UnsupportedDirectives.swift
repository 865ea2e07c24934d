// A sentence for each directive that people will write and that does not exist: nginx's, and our own that are yet to
// come.

enum UnsupportedDirectives {
    /// Why this name means nothing here, or nil when nobody has heard of it.
    static func sentence(for name: String) -> String? {
        if later.contains(name) { return "`\(name)` is not supported yet" }
        if let instead = replaced[name] { return "`\(name)` is not supported: \(instead)" }
        if let needless = needless[name] { return "`\(name)` is not needed: \(needless), so remove this line" }
        if let missing = missing[name] { return "`\(name)` is not supported: \(missing)" }
        for (prefix, reason) in families where name.hasPrefix(prefix) { return "`\(name)` is not supported: \(reason)" }
        return nil
    }

    /// The same for variables, whose names come without `$`.
    static func sentence(forVariable name: String) -> String? {
        if let reason = variables[name] { return "`$\(name)` is not offered: \(reason)" }
        if name.utf8.first.map({ (0x30...0x39).contains($0) }) ?? false {
            return "`$\(name)`: captures are not supported yet"
        }
        for (prefix, reason) in variableFamilies where name.hasPrefix(prefix) { return "`$\(name)` \(reason)" }
        return nil
    }

    /// Directives of the language that no version has had so far.
    private static let later: Set<String> = [
        "allow", "deny", "error_page", "ip_hash",
        "least_conn", "limit_conn_per_ip", "map", "max_conns", "proxy_hide_header",
        "proxy_next_upstream", "proxy_next_upstream_budget", "proxy_next_upstream_timeout", "proxy_next_upstream_tries",
        "proxy_pass_header", "proxy_redirect", "proxy_set_body", "queue", "random",
        "rate_limit", "resolver", "resolver_timeout", "slow_start",
        "sticky",
        "token", "user", "hash", "zone",
        "proxy_bind", "proxy_method", "proxy_cookie_path", "proxy_cookie_domain", "ssl_trusted_certificate",
    ]

    /// nginx's directives for which there is another one here.
    private static let replaced: [String: String] = [
        "large_client_header_buffers": "say `client_header_line_size` and `client_header_size`",
        "client_header_buffer_size": "say `client_header_line_size` and `client_header_size`",
        "limit_req": "write `rate_limit` for it, which is not supported yet",
        "limit_req_zone": "write `rate_limit` for it, which is not supported yet",
        "limit_req_status": "refusals by `rate_limit`, which is not supported yet, are always 429",
        "limit_conn": "write `limit_conn_per_ip` for it, which is not supported yet",
        "limit_conn_zone": "write `limit_conn_per_ip` for it, which is not supported yet",
        "auth_jwt": "declare an `auth_provider` and say `auth NAME`",
        "auth_jwt_key_file": "say `key_file` in an `auth_provider`",
        "auth_jwt_key_request": "say `jwks` in an `auth_provider`",
        "auth_jwt_require": "say `require permission NAME`",
        "auth_jwt_type": "tokens are signed ones, as an `auth_provider` says",
        "auth_jwt_leeway": "say `leeway` in an `auth_provider`",
        "auth_request": "declare an `auth_provider` of kind `request` and say `auth NAME`",
        "auth_request_set": "say `copy` in an `auth_provider` of kind `request`",
        "auth_basic": "identity comes from an `auth_provider`",
        "auth_basic_user_file": "identity comes from an `auth_provider`",
        "kid_wait": "say `unknown_kid refetch wait=TIME`",
        "jwt_fallback":
            "name a provider of kind `jwt` beside this one in `auth any …`: it judges the tokens that it knows",
        "cache_ttl": "say `cache TIME`",
        "set_real_ip_from": "write `trusted_proxies` for it",
        "real_ip_header":
            "`trusted_proxies` are believed in X-Forwarded-For, and in the PROXY protocol where `listen` says so",
        "real_ip_recursive":
            "it is always on: the client is the last in X-Forwarded-For that is not among `trusted_proxies`",
        "stub_status": "the `admin` listener serves metrics",
        "ignore_invalid_headers": "invalid header fields are always refused",
        "worker_rlimit_nofile": "the limit of descriptors is raised to what the system allows",
        "merge_slashes": "paths go on as they came, and `path_guard` refuses the ambiguous ones",
        "ssl_stapling": "say `ssl_stapling_file`: responses are read and not fetched",
        "absolute_redirect": "the text of `return` is sent as it is",
    ]

    /// nginx's directives for what happens here anyway.
    private static let needless: [String: String] = [
        "sendfile": "no files are served", "tcp_nopush": "answers leave in as few packets as they fit into",
        "tcp_nodelay": "it is always on", "server_tokens": "the gateway never tells its version",
        "multi_accept": "connections are accepted as they come", "use": "epoll is always used",
        "accept_mutex": "each worker has a listening socket of its own",
        "proxy_ssl_session_reuse": "sessions with upstreams are always resumed",
        "proxy_buffering": "bodies are always streamed in both directions, with back-pressure",
        "proxy_request_buffering": "bodies are always streamed in both directions, with back-pressure",
        "proxy_buffers": "buffers are taken from a pool as they are needed",
        "proxy_buffer_size": "buffers are taken from a pool as they are needed",
        "proxy_busy_buffers_size": "buffers are taken from a pool as they are needed",
        "proxy_max_temp_file_size": "bodies are never written to files",
        "proxy_temp_file_write_size": "bodies are never written to files",
        "proxy_temp_path": "bodies are never written to files",
        "client_body_buffer_size": "bodies are streamed", "client_body_temp_path": "bodies are never written to files",
        "client_body_in_file_only": "bodies are never written to files",
        "client_body_in_single_buffer": "bodies are streamed",
        "daemon": "the process stays in the foreground, as service managers want it",
        "master_process": "workers are threads of one process", "worker_cpu_affinity": "the system places the workers",
        "worker_priority": "the system schedules the workers", "pcre_jit": "regular expressions are always compiled",
        "types": "content types are the upstream's", "default_type": "content types are the upstream's",
        "types_hash_max_size": "tables size themselves", "server_names_hash_bucket_size": "tables size themselves",
        "server_names_hash_max_size": "tables size themselves", "variables_hash_max_size": "tables size themselves",
        "proxy_headers_hash_max_size": "tables size themselves",
        "proxy_headers_hash_bucket_size": "tables size themselves",
        "reset_timedout_connection": "connections that time out are closed at once",
        "lingering_close": "refused requests are always read for a moment, so that the answer arrives",
        "lingering_time": "refused requests are always read for a moment, so that the answer arrives",
        "lingering_timeout": "refused requests are always read for a moment, so that the answer arrives",
        "proxy_ignore_client_abort": "a request ends when its client is gone",
        "proxy_socket_keepalive": "idle connections are checked before they are used",
        "ssl_prefer_server_ciphers": "the offered ciphers are all good",
        "ssl_session_cache": "sessions are resumed by tickets",
        "ssl_dhparam": "only ciphers with elliptic curves are offered",
        "ssl_buffer_size": "records grow with the answer",
        "log_not_found": "no files are served",
        "ssl_stapling_verify": "what `ssl_stapling_file` names is always checked",
        "log_subrequest": "there are no subrequests", "chunked_transfer_encoding": "framing follows the protocol",
        "keepalive_disable": "no browser in use needs it", "http": "it may stand only around the whole file",
        "events": "it may stand only around the whole file",
    ]

    /// nginx's directives for what a gateway of this kind does not do.
    private static let missing: [String: String] = [
        "proxy_cache": "the gateway does not cache responses", "root": "the gateway serves no files",
        "alias": "the gateway serves no files", "index": "the gateway serves no files",
        "try_files": "the gateway serves no files", "autoindex": "the gateway serves no files",
        "internal": "there are no internal redirections", "rewrite": "give `proxy_pass` a URI, or answer with `return`",
        "rewrite_log": "paths are not rewritten", "if": "write a location for each case",
        "set": "there are no variables of your own", "break": "there are no rewriting phases",
        "geo": "there are no variables of your own", "split_clients": "there are no variables of your own",
        "sub_filter": "bodies pass unchanged", "expires": "say `add_header Cache-Control …`",
        "etag": "validators are the upstream's", "if_modified_since": "validators are the upstream's",
        "mirror": "requests go to one upstream", "satisfy": "say `auth any …`",
        "dav_methods": "the gateway serves no files", "stream": "only HTTP is proxied", "mail": "only HTTP is proxied",
        "load_module": "there are no modules", "perl": "there is no scripting", "js_import": "there is no scripting",
        "js_content": "there is no scripting", "ssi": "bodies pass unchanged",
        "addition_types": "bodies pass unchanged",
        "limit_rate": "answers go as fast as the client takes them",
        "limit_rate_after": "answers go as fast as the client takes them",
        "limit_except": "write a location for each case", "env": "the environment is read by `${env:NAME}` alone",
        "open_file_cache": "the gateway serves no files", "secure_link": "links are signed by tokens",
        "recursive_error_pages": "answers are never replaced", "proxy_intercept_errors": "answers are never replaced",
        "post_action": "there are no subrequests", "valid_referers": "who says where it came from proves nothing",
        "port_in_redirect": "the text of `return` is sent as it is",
        "server_name_in_redirect": "the text of `return` is sent as it is",
        "thread_pool": "no files are served", "aio": "no files are served", "directio": "no files are served",
        "ssl_stapling_responder": "responses are not fetched: say `ssl_stapling_file`",
        "ssl_session_ticket_key": "the gateway makes the keys of tickets itself, and replaces them",
        "ssl_conf_command": "say `ssl_protocols`, `ssl_ciphers` or `ssl_ecdh_curve`",
        "ssl_crl": "certificates of clients are not looked up in lists",
        "ssl_early_data": "replayable requests are not accepted", "ssl_password_file": "decrypt the key",
        "proxy_force_ranges": "ranges are the upstream's", "proxy_store": "the gateway serves no files",
    ]

    /// Whole modules of nginx, by the beginning of their names.
    private static let families: [(prefix: String, reason: String)] = [
        ("proxy_cache_", "the gateway does not cache responses"), ("fastcgi_", "only HTTP upstreams are spoken to"),
        ("uwsgi_", "only HTTP upstreams are spoken to"), ("scgi_", "only HTTP upstreams are spoken to"),
        ("memcached_", "only HTTP upstreams are spoken to"),
        ("grpc_", "say `proxy_pass grpc://NAME`, and the settings of `proxy_`"),
        ("gzip", "the gateway does not compress responses"), ("gunzip", "the gateway does not compress responses"),
        ("brotli", "the gateway does not compress responses"), ("lua_", "there is no scripting"),
        ("content_by_", "there is no scripting"), ("access_by_", "there is no scripting"),
        ("http2_", "HTTP/2 has no other settings than `http2_max_concurrent_streams`"),
        ("http3", "HTTP/3 is not supported"), ("quic_", "HTTP/3 is not supported"),
        ("sub_filter", "bodies pass unchanged"), ("open_file_cache_", "the gateway serves no files"),
        ("image_filter", "bodies pass unchanged"), ("xslt_", "bodies pass unchanged"),
        ("ssi_", "bodies pass unchanged"),
        ("userid", "clients are known by their tokens"), ("geoip_", "there are no variables of your own"),
    ]

    private static let variables: [String: String] = [
        "proxy_add_x_forwarded_for": "the gateway always writes X-Forwarded-For itself, so remove this line",
        "remote_user": "say `$auth_subject`", "connection_upgrade": "say `proxy_set_header Connection \"upgrade\"`",
        "request_body": "bodies are streamed, not kept",
        "document_root": "the gateway serves no files", "request_filename": "the gateway serves no files",
        "realip_remote_addr": "the address of a balancer is not kept", "binary_remote_addr": "say `$remote_addr`",
        "proxy_protocol_addr": "say `$remote_addr`", "proxy_protocol_port": "say `$remote_port`",
        "upstream_cache_status": "the gateway does not cache responses", "nginx_version": "this is not nginx",
        "upstream_header_time": "say `$upstream_response_time`", "document_uri": "say `$uri`",
        "body_bytes_received": "say `$request_length`", "pipe": "say `$connection_requests`",
        "request_completion": "say `$status`", "proxy_port": "say `$proxy_host`",
        "limit_rate": "there is no such limit",
    ]
    private static let variableFamilies: [(prefix: String, reason: String)] = [
        ("jwt_header_", "is not offered: headers of tokens are not kept"), ("arg_", "is not supported yet"),
        ("ssl_", "is not supported yet"),
        ("sent_http_", "is not offered: fields of answers are not kept"),
        ("upstream_http_", "is not offered: fields of answers are not kept"),
        ("upstream_", "is not offered"), ("jwks_", "is not offered"),
    ]
}

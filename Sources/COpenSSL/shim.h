#ifndef TANDEM_COPENSSL_SHIM_H
#define TANDEM_COPENSSL_SHIM_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Functions that OpenSSL offers as macros only, which Swift can't see.

static inline int tandem_SSL_CTX_set_min_proto_version(SSL_CTX *ctx, int version) {
    return (int)SSL_CTX_set_min_proto_version(ctx, version);
}

static inline void tandem_SSL_CTX_set_mode(SSL_CTX *ctx, long mode) {
    SSL_CTX_set_mode(ctx, mode);
}

static inline void tandem_SSL_CTX_set_session_cache_mode(SSL_CTX *ctx, long mode) {
    SSL_CTX_set_session_cache_mode(ctx, mode);
}

static inline void tandem_SSL_CTX_set_read_ahead(SSL_CTX *ctx, long yes) {
    SSL_CTX_set_read_ahead(ctx, yes);
}

static inline int tandem_SSL_set_tlsext_host_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline int tandem_sk_SSL_CIPHER_num(const STACK_OF(SSL_CIPHER) *ciphers) {
    return sk_SSL_CIPHER_num(ciphers);
}

static inline const SSL_CIPHER *tandem_sk_SSL_CIPHER_value(const STACK_OF(SSL_CIPHER) *ciphers, int index) {
    return sk_SSL_CIPHER_value(ciphers, index);
}

static inline int tandem_sk_X509_NAME_num(const STACK_OF(X509_NAME) *names) {
    return sk_X509_NAME_num(names);
}

static inline int tandem_sk_X509_num(const STACK_OF(X509) *certificates) {
    return sk_X509_num(certificates);
}

static inline X509 *tandem_sk_X509_value(const STACK_OF(X509) *certificates, int index) {
    return sk_X509_value(certificates, index);
}

static inline void tandem_sk_X509_free_all(STACK_OF(X509) *certificates) {
    sk_X509_pop_free(certificates, X509_free);
}

static inline int tandem_sk_GENERAL_NAME_num(const STACK_OF(GENERAL_NAME) *names) {
    return sk_GENERAL_NAME_num(names);
}

static inline void tandem_sk_GENERAL_NAME_free_all(STACK_OF(GENERAL_NAME) *names) {
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

// A union, whose members Swift sees as a tuple: the text of a DNS name or the bytes of an address, else none.
static inline const ASN1_STRING *tandem_GENERAL_NAME_value(const STACK_OF(GENERAL_NAME) *names, int index, int *kind) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    *kind = name->type;
    return name->type == GEN_DNS || name->type == GEN_IPADD ? name->d.ia5 : NULL;
}

static inline int tandem_sk_X509_CRL_num(const STACK_OF(X509_CRL) *lists) {
    return sk_X509_CRL_num(lists);
}

static inline X509_CRL *tandem_sk_X509_CRL_value(const STACK_OF(X509_CRL) *lists, int index) {
    return sk_X509_CRL_value(lists, index);
}

static inline void tandem_sk_X509_CRL_free_all(STACK_OF(X509_CRL) *lists) {
    sk_X509_CRL_pop_free(lists, X509_CRL_free);
}

static inline int tandem_sk_X509_OBJECT_num(const STACK_OF(X509_OBJECT) *objects) {
    return sk_X509_OBJECT_num(objects);
}

static inline X509_OBJECT *tandem_sk_X509_OBJECT_value(const STACK_OF(X509_OBJECT) *objects, int index) {
    return sk_X509_OBJECT_value(objects, index);
}

static inline void tandem_SSL_CTX_set_safe_options(SSL_CTX *ctx) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
}

static inline void tandem_BIO_clear_retry_flags(BIO *bio) {
    BIO_clear_retry_flags(bio);
}

static inline void tandem_BIO_set_retry_read(BIO *bio) {
    BIO_set_retry_read(bio);
}

#endif

// Entry and exit stubs of the software engine.
#if defined(__x86_64__) && defined(__ELF__)
.section .note.GNU-stack,"",@progbits
#endif

// Data and places of the software engine that C headers alone cannot hold.
#if defined(__x86_64__) && defined(__ELF__)
.section .bss
.globl apus_previous_actions
.hidden apus_previous_actions
.balign 16
apus_previous_actions:
.skip 65 * 160
.globl apus_code_regions
.hidden apus_code_regions
.balign 16
apus_code_regions:
.skip 1024 * 16
.text
.globl apus_origin
.hidden apus_origin
apus_origin:
ud2
.section .note.GNU-stack,"",@progbits
#endif

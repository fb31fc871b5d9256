// The named models as a table. A row of text for each version: a table of Swift values of this size takes the compiler
// minutes, and a start needs one row of it.
extension CPUModel {
    /// A model a line: name, vendor, family, model, stepping, highest leaf and highest extended leaf (hexadecimal),
    /// brand string, features. A row whose features begin with another row's name adds to that one, and takes away what
    /// a "-" stands before. Parents stand before their children.
    ///
    /// Values are those of the processors' documentation, as QEMU's `query-cpu-model-expansion` shows them.
    static let table = """
        486-v1|GenuineIntel|4|8|0|1|0||fpu vme pse
        pentium-v1|GenuineIntel|5|4|3|1|0||fpu vme de pse tsc msr mce cx8 apic mmx
        pentium2-v1|GenuineIntel|6|5|2|2|0||pentium-v1 pae sep mtrr pge mca cmov pat pse36 fxsr
        pentium3-v1|GenuineIntel|6|7|3|3|0||pentium2-v1 sse
        qemu32-v1|GenuineIntel|6|6|3|4|80000004|QEMU Virtual CPU version 2.5+|pentium3-v1 pni sse2 -vme -mtrr \
        -mca -pse36
        kvm32-v1|GenuineIntel|15|6|1|5|80000008|Common 32-bit KVM processor|pentium3-v1 pni clflush sse2
        coreduo-v1|GenuineIntel|6|14|8|a|80000008|Genuine Intel(R) CPU           T2600  @ 2.16GHz|kvm32-v1 \
        monitor acpi ss nx -pse36
        n270-v1|GenuineIntel|6|28|2|a|80000008|Intel(R) Atom(TM) CPU N270   @ 1.60GHz|coreduo-v1 ssse3 movbe \
        lahf-lm
        athlon-v1|AuthenticAMD|6|2|3|2|80000008|QEMU Virtual CPU version 2.5+|pentium3-v1 sse2 mmxext 3dnowext \
        3dnow
        qemu64-v1|AuthenticAMD|15|107|1|d|8000000a|QEMU Virtual CPU version 2.5+|kvm32-v1 cx16 lahf-lm svm \
        syscall nx lm -vme
        kvm64-v1|GenuineIntel|15|6|1|d|80000008|Common KVM processor|qemu64-v1 vme -lahf-lm -svm
        core2duo-v1|GenuineIntel|6|15|11|a|80000008|Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz|n270-v1 cx16 \
        pse36 syscall lm -movbe
        Conroe-v1|GenuineIntel|6|15|3|a|80000008|Intel Celeron_4x0 (Conroe/Merom Class Core 2)|kvm64-v1 ssse3 \
        lahf-lm -cx16
        Penryn-v1|GenuineIntel|6|23|3|a|80000008|Intel Core 2 Duo P9xxx (Penryn Class Core 2)|Conroe-v1 cx16 \
        sse4.1
        Nehalem-v1|GenuineIntel|6|26|3|b|80000008|Intel Core i7 9xx (Nehalem Class Core i7)|Penryn-v1 sse4.2 \
        popcnt
        Nehalem-v2|GenuineIntel|6|26|3|b|80000008|Intel Core i7 9xx (Nehalem Core i7, IBRS update)|Nehalem-v1 \
        spec-ctrl
        Westmere-v1|GenuineIntel|6|44|1|b|80000008|Westmere E56xx/L56xx/X56xx (Nehalem-C)|Nehalem-v1 pclmulqdq \
        aes arat
        Westmere-v2|GenuineIntel|6|44|1|b|80000008|Westmere E56xx/L56xx/X56xx (IBRS update)|Westmere-v1 \
        spec-ctrl
        SandyBridge-v1|GenuineIntel|6|42|1|d|80000008|Intel Xeon E312xx (Sandy Bridge)|Westmere-v1 x2apic \
        tsc-deadline xsave avx xsaveopt rdtscp
        SandyBridge-v2|GenuineIntel|6|42|1|d|80000008|Intel Xeon E312xx (Sandy Bridge, IBRS update)| \
        SandyBridge-v1 spec-ctrl
        IvyBridge-v1|GenuineIntel|6|58|9|d|80000008|Intel Xeon E3-12xx v2 (Ivy Bridge)|SandyBridge-v1 f16c \
        rdrand fsgsbase smep erms
        IvyBridge-v2|GenuineIntel|6|58|9|d|80000008|Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)|IvyBridge-v1 \
        spec-ctrl
        Haswell-v1|GenuineIntel|6|60|4|d|80000008|Intel Core Processor (Haswell)|IvyBridge-v1 fma pcid movbe \
        bmi1 hle avx2 bmi2 invpcid rtm abm
        Haswell-v2|GenuineIntel|6|60|1|d|80000008|Intel Core Processor (Haswell, no TSX)|Haswell-v1 -hle -rtm
        Haswell-v3|GenuineIntel|6|60|4|d|80000008|Intel Core Processor (Haswell, IBRS)|Haswell-v1 spec-ctrl
        Haswell-v4|GenuineIntel|6|60|1|d|80000008|Intel Core Processor (Haswell, no TSX, IBRS)|Haswell-v2 \
        spec-ctrl
        Broadwell-v1|GenuineIntel|6|61|2|d|80000008|Intel Core Processor (Broadwell)|Haswell-v1 rdseed adx smap \
        3dnowprefetch
        Broadwell-v2|GenuineIntel|6|61|2|d|80000008|Intel Core Processor (Broadwell, no TSX)|Broadwell-v1 -hle \
        -rtm
        Broadwell-v3|GenuineIntel|6|61|2|d|80000008|Intel Core Processor (Broadwell, IBRS)|Broadwell-v1 \
        spec-ctrl
        Broadwell-v4|GenuineIntel|6|61|2|d|80000008|Intel Core Processor (Broadwell, no TSX, IBRS)|Broadwell-v2 \
        spec-ctrl
        Skylake-Client-v1|GenuineIntel|6|94|3|d|80000008|Intel Core Processor (Skylake)|Broadwell-v1 xsavec \
        xgetbv1
        Skylake-Client-v2|GenuineIntel|6|94|3|d|80000008|Intel Core Processor (Skylake, IBRS)|Skylake-Client-v1 \
        spec-ctrl
        Skylake-Client-v3|GenuineIntel|6|94|3|d|80000008|Intel Core Processor (Skylake, IBRS, no TSX)| \
        Skylake-Client-v2 -hle -rtm
        Skylake-Client-v4|GenuineIntel|6|94|3|d|80000008|Intel Core Processor (Skylake, IBRS, no TSX)| \
        Skylake-Client-v3 xsaves
        Skylake-Server-v1|GenuineIntel|6|85|4|d|80000008|Intel Xeon Processor (Skylake)|Skylake-Client-v1 \
        avx512f avx512dq clflushopt clwb avx512cd avx512bw avx512vl pku pdpe1gb
        Skylake-Server-v2|GenuineIntel|6|85|4|d|80000008|Intel Xeon Processor (Skylake, IBRS)|Skylake-Server-v1 \
        spec-ctrl -clflushopt
        Skylake-Server-v3|GenuineIntel|6|85|4|d|80000008|Intel Xeon Processor (Skylake, IBRS, no TSX)| \
        Skylake-Server-v2 -hle -rtm
        Skylake-Server-v4|GenuineIntel|6|85|4|d|80000008|Intel Xeon Processor (Skylake, IBRS, no TSX)| \
        Skylake-Server-v3
        Skylake-Server-v5|GenuineIntel|6|85|4|d|80000008|Intel Xeon Processor (Skylake, IBRS, no TSX)| \
        Skylake-Server-v3 xsaves
        Cascadelake-Server-v1|GenuineIntel|6|85|6|d|80000008|Intel Xeon Processor (Cascadelake)| \
        Skylake-Server-v1 avx512vnni spec-ctrl ssbd
        Cascadelake-Server-v2|GenuineIntel|6|85|6|d|80000008|Intel Xeon Processor (Cascadelake)| \
        Cascadelake-Server-v1 arch-capabilities
        Cascadelake-Server-v3|GenuineIntel|6|85|6|d|80000008|Intel Xeon Processor (Cascadelake)| \
        Cascadelake-Server-v2 -hle -rtm
        Cascadelake-Server-v4|GenuineIntel|6|85|6|d|80000008|Intel Xeon Processor (Cascadelake)| \
        Cascadelake-Server-v3
        Cascadelake-Server-v5|GenuineIntel|6|85|6|d|80000008|Intel Xeon Processor (Cascadelake)| \
        Cascadelake-Server-v3 xsaves
        Cooperlake-v1|GenuineIntel|6|85|10|d|80000008|Intel Xeon Processor (Cooperlake)|Cascadelake-Server-v2 \
        stibp avx512-bf16
        Cooperlake-v2|GenuineIntel|6|85|10|d|80000008|Intel Xeon Processor (Cooperlake)|Cooperlake-v1 xsaves
        Icelake-Server-v1|GenuineIntel|6|134|0|d|80000008|Intel Xeon Processor (Icelake)|Cascadelake-Server-v1 \
        avx512vbmi umip avx512vbmi2 gfni vaes vpclmulqdq avx512bitalg avx512-vpopcntdq la57 wbnoinvd
        Icelake-Server-v2|GenuineIntel|6|134|0|d|80000008|Intel Xeon Processor (Icelake)|Icelake-Server-v1 -hle \
        -rtm
        Icelake-Server-v3|GenuineIntel|6|134|0|d|80000008|Intel Xeon Processor (Icelake)|Icelake-Server-v2 \
        arch-capabilities
        Icelake-Server-v4|GenuineIntel|6|106|0|d|80000008|Intel Xeon Processor (Icelake)|Icelake-Server-v3 \
        avx512ifma sha-ni rdpid fsrm
        Icelake-Server-v5|GenuineIntel|6|106|0|d|80000008|Intel Xeon Processor (Icelake)|Icelake-Server-v4 \
        xsaves
        Icelake-Server-v6|GenuineIntel|6|106|0|d|80000008|Intel Xeon Processor (Icelake)|Icelake-Server-v5
        Denverton-v1|GenuineIntel|6|95|1|15|80000008|Intel Atom Processor (Denverton)|IvyBridge-v2 monitor movbe \
        mpx rdseed smap clflushopt sha-ni arch-capabilities ssbd xsavec xgetbv1 3dnowprefetch pdpe1gb -avx -f16c
        Denverton-v2|GenuineIntel|6|95|1|15|80000008|Intel Atom Processor (Denverton)|Denverton-v1 -monitor -mpx
        Denverton-v3|GenuineIntel|6|95|1|15|80000008|Intel Atom Processor (Denverton)|Denverton-v2 xsaves
        Snowridge-v1|GenuineIntel|6|134|1|1b|80000008|Intel Atom Processor (SnowRidge)|Denverton-v1 clwb umip \
        gfni cldemote movdiri movdir64b core-capability
        Snowridge-v2|GenuineIntel|6|134|1|1b|80000008|Intel Atom Processor (Snowridge, no MPX)|Snowridge-v1 -mpx
        Snowridge-v3|GenuineIntel|6|134|1|1b|80000008|Intel Atom Processor (Snowridge, no MPX)|Snowridge-v2 \
        xsaves
        Snowridge-v4|GenuineIntel|6|134|1|1b|80000008|Intel Atom Processor (Snowridge, no MPX)|Snowridge-v3 \
        -core-capability
        KnightsMill-v1|GenuineIntel|6|133|0|d|80000008|Intel Xeon Phi Processor (Knights Mill)|Broadwell-v2 ss \
        avx512f avx512pf avx512er avx512cd avx512-vpopcntdq avx512-4vnniw avx512-4fmaps pdpe1gb -pcid -invpcid \
        -smap
        phenom-v1|AuthenticAMD|16|2|3|5|8000001a|AMD Phenom(tm) 9550 Quad-Core Processor|qemu64-v1 monitor \
        popcnt vme abm sse4a mmxext fxsr-opt pdpe1gb rdtscp 3dnowext 3dnow
        Opteron_G1-v1|AuthenticAMD|15|6|1|5|80000008|AMD Opteron 240 (Gen 1 Class Opteron)|kvm64-v1 -cx16
        Opteron_G2-v1|AuthenticAMD|15|6|1|5|8000000a|AMD Opteron 22xx (Gen 2 Class Opteron)|qemu64-v1 vme
        Opteron_G3-v1|AuthenticAMD|16|2|3|5|8000000a|AMD Opteron 23xx (Gen 3 Class Opteron)|phenom-v1 \
        misalignsse -mmxext -fxsr-opt -pdpe1gb -3dnowext -3dnow
        Opteron_G4-v1|AuthenticAMD|21|1|2|d|8000001a|AMD Opteron 62xx class CPU|Westmere-v1 xsave avx svm abm \
        sse4a misalignsse 3dnowprefetch xop fma4 pdpe1gb rdtscp -arat
        Opteron_G5-v1|AuthenticAMD|21|2|0|d|8000001a|AMD Opteron 63xx class CPU|Opteron_G4-v1 fma f16c tbm
        EPYC-v1|AuthenticAMD|23|1|2|d|8000001e|AMD EPYC Processor|Skylake-Client-v3 monitor clflushopt sha-ni \
        svm cr8legacy sse4a misalignsse osvw topoext mmxext fxsr-opt pdpe1gb -pcid -x2apic -tsc-deadline -erms \
        -invpcid -spec-ctrl
        EPYC-v2|AuthenticAMD|23|1|2|d|8000001e|AMD EPYC Processor (with IBPB)|EPYC-v1 ibpb
        EPYC-v3|AuthenticAMD|23|1|2|d|8000001e|AMD EPYC Processor|EPYC-v2 xsaves perfctr-core clzero xsaveerptr
        EPYC-Rome-v1|AuthenticAMD|23|49|0|d|8000001e|AMD EPYC-Rome Processor|EPYC-v3 clwb umip rdpid wbnoinvd \
        amd-stibp
        EPYC-Rome-v2|AuthenticAMD|23|49|0|d|8000001e|AMD EPYC-Rome Processor|EPYC-Rome-v1 ibrs amd-ssbd
        EPYC-Milan-v1|AuthenticAMD|25|1|1|d|8000001e|AMD EPYC-Milan Processor|EPYC-Rome-v2 pcid erms invpcid pku \
        fsrm
        Dhyana-v1|HygonGenuine|24|0|1|d|8000001e|Hygon Dhyana Processor|EPYC-v2 -pclmulqdq -aes -sha-ni
        Dhyana-v2|HygonGenuine|24|0|1|d|8000001e|Hygon Dhyana Processor|Dhyana-v1 xsaves
        """

    /// Names that stand for a version other than the first.
    static let aliases = """
        Broadwell-IBRS Broadwell-v3
        Broadwell-noTSX Broadwell-v2
        Broadwell-noTSX-IBRS Broadwell-v4
        Cascadelake-Server-noTSX Cascadelake-Server-v3
        EPYC-IBPB EPYC-v2
        Haswell-IBRS Haswell-v3
        Haswell-noTSX Haswell-v2
        Haswell-noTSX-IBRS Haswell-v4
        Icelake-Server-noTSX Icelake-Server-v2
        IvyBridge-IBRS IvyBridge-v2
        Nehalem-IBRS Nehalem-v2
        SandyBridge-IBRS SandyBridge-v2
        Skylake-Client-IBRS Skylake-Client-v2
        Skylake-Client-noTSX-IBRS Skylake-Client-v3
        Skylake-Server-IBRS Skylake-Server-v2
        Skylake-Server-noTSX-IBRS Skylake-Server-v3
        Westmere-IBRS Westmere-v2
        """
}

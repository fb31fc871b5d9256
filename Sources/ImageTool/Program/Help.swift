/// What the tool says of itself.
enum Help {
    static let version = """
        qemu-img version 7.2.0 (Apus)
        The same commands, options and outputs as QEMU's tool of that version.

        """

    static let text = """
        usage: qemu-img [standard options] command [command options]
        Disk image utility

            '-h', '--help'       display this help and exit
            '-V', '--version'    output version information and exit

        Command syntax:
          amend [-p] [-q] [-f fmt] [-t cache] [--force] -o options filename
          bench [-c count] [-d depth] [-f fmt] [--flush-interval=n] [-n] [-o offset] [--pattern=byte] [-q] [-s \
        size] [-S step] [-t cache] [-w] [-U] filename
          bitmap (--merge SOURCE | --add | --remove | --clear | --enable | --disable)... [-b source_file [-F \
        source_fmt]] [-g granularity] [-f fmt] filename bitmap
          check [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-T src_cache] [-U] filename
          commit [-q] [-f fmt] [-t cache] [-b base] [-d] [-p] filename
          compare [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] [-s] [-U] filename1 filename2
          convert [--target-is-zero] [--bitmaps] [-U] [-c] [-p] [-q] [-n] [-f fmt] [-t cache] [-T src_cache] [-O \
        output_fmt] [-B backing_file [-F backing_fmt]] [-o options] [-l snapshot_param] [-S sparse_size] [-m \
        threads] [-W] [--salvage] filename [filename2 [...]] output_filename
          create [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]
          dd [-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] [skip=blocks] if=input of=output
          info [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename
          map [-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] filename
          measure [--output=ofmt] [-O output_fmt] [-o options] [--size N | [-f fmt] [-l snapshot_param] filename]
          snapshot [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename
          rebase [-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] [-u] -b backing_file [-F backing_fmt] filename
          resize [-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size

        Every command takes --image-opts (the file name is a list of options) and --help.

        """
}

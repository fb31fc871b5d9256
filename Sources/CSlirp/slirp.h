// Debian's libslirp-dev. Its pkg-config file also asks for GLib's headers, which the public header does not use.
#include <slirp/libslirp.h>

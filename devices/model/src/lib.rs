//! What the author of a device needs: classes, buses, interrupt lines, guest memory, backends.

"""Network drivers by what native XDP does to their link, with the names that `ethtool -i` shows.

Sources are functions of Linux 6.12 below drivers/net, unless another version is named. Most drivers
stop and start the device or its rings when an XDP program is attached or detached.
"""

from __future__ import annotations

QUIET = {
    "sfc": "ethernet/sfc/efx.c, efx_xdp_setup_prog()",
    "tsnep": "ethernet/engleder/tsnep_xdp.c, tsnep_xdp_setup_prog()",
    "cpsw": "ethernet/ti/cpsw_priv.c, cpsw_xdp_prog_setup()",
}
"""Drivers that only exchange a pointer, and leave VLAN tags in the frame that XDP sees; sources.

mana is not among them: it lowers the largest MTU (mana_xdp_set, 6.12), starts its queues again
(6.18), and has VLAN tags outside the frame (kernel commit b803d1fded40, 6.5).
"""

_RESTARTS = "restarts the link or its queues when an XDP program is attached or detached"
_REPLACED = "restarts the link or its queues when an XDP program is attached, replaced or detached"

EFFECTS = {
    # Measured with an echo every 10 ms in emulated machines, Linux 6.12 and 7.3.
    "igb": "restarts the link when an XDP program is attached or detached: about 3 s without "
    "traffic; it refuses other MTUs meanwhile",
    "vmxnet3": "restarts its queues when an XDP program is attached or detached: about 0.3 s "
    "without traffic; LRO goes off and stays off",
    "virtio_net": "restarts its queues when an XDP program is attached or detached: about 0.3 s "
    "without traffic; it adds queues and turns receive offloads off, so TCP arrives in small "
    "packets",
    # By source.
    "ixgbe": f"{_RESTARTS}: up to 20 s without traffic were reported",  # ixgbe_setup_tc
    "i40e": "resets the whole card when an XDP program is attached or detached",  # i40e_xdp_setup
    "mlx5_core": "takes the carrier down and up when an XDP program is attached or detached",
    "ena": f"{_RESTARTS}; it lowers the largest MTU",  # ena_xdp_set
    "fsl_dpaa2_eth": "takes the interface down and up when an XDP program is attached, replaced or "
    "detached: its routes are lost",  # dpaa2_eth_setup_xdp, by dev_close
    "mana": "restarts its queues when an XDP program is attached, replaced or detached (Linux "
    "6.18); it lowers the largest MTU",
    # xen-netfront
    "vif": "may accept the program without running it; pktexp then uses the next hook",
    "hv_netvsc": "hands the program to its virtual function, whose packets are then not counted; "
    "if few others arrive, pktexp uses the next hook",
    "veth": "takes segmentation offload from its peer",  # veth_xdp_set
    **dict.fromkeys(("atlantic", "funeth", "ice", "ionic", "ixgbevf", "mlx4_en", "nfp"), _RESTARTS),
    **dict.fromkeys(("fsl_dpa", "lan966x-switch", "mvneta", "mvpp2", "netsec"), _RESTARTS),
    **dict.fromkeys(("nfp_netvf", "st_gmac", "st_xgmac"), _RESTARTS),
    **dict.fromkeys(("bnxt_en", "gve", "igc", "nicvf", "qede"), _REPLACED),
    **dict.fromkeys(("rvu-nicpf", "rvu-nicvf"), _REPLACED),  # otx2
    **dict.fromkeys(("am65-cpsw-nuss", "fec", "fsl_enetc", "fsl_enetc_vf"), _REPLACED),
}
"""what native XDP does to the link, as the predicate of a sentence about the driver"""

UNKNOWN = "may restart the link when an XDP program is attached or detached, as most drivers do"


def effect(driver: str, physical: bool) -> str:
    """Return a sentence about native XDP with a driver, without a full stop; "" if harmless.

    A driver that is not listed is harmless unless hardware is behind it.
    """
    if driver in QUIET or not (physical or driver in EFFECTS):
        return ""
    return f"{driver or 'its driver'} {EFFECTS.get(driver, UNKNOWN)}"

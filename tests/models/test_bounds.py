"""Nothing that can't be goes through a model: each number of each public function is refused by
its name. What is asked for here is found by looking at the modules, so that none is forgotten."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from inspect import isfunction
from ipaddress import ip_address, ip_network
from pkgutil import iter_modules

import networkx
import numpy as np
import pytest

from homelab_lib import models
from homelab_lib.models import (
    architectures,
    compute,
    context,
    copies,
    cost,
    ids_policy,
    links,
    packet_filter,
    placement,
    power,
    transcode,
    zfs,
    zfs_layout,
)

STREAM = transcode.Stream("hevc", "h264", 3840 * 2160, 1920 * 1080, source_bps=4e7, target_bps=8e6)
DISK = 14_000_000_000_000
RAIDZ = zfs_layout.parse_layout("raidz2", 4)
CHAIN = {"drives": 4, "parity": 2, "afr": 0.02, "mttr_hours": 60.0, "p_unreadable": 0.1}
ENGINE = transcode.Engine(2, {"hevc": 1e9}, {"h264": 1e9}, 8)
WIDTHS = architectures.Widths(1, 256, 512, 32000, 8, 2, 32)
LLAMA = context.Transformer("llama", 32, 4096, 14336, 128256, 32, 8, 128, 128)
CABLE = networkx.Graph()
CABLE.add_edge("a", "b", kind="cable", speed_bps=1e9)
HERE = ip_network("10.0.0.0/16")
RULE = packet_filter.Rule("r", "pass", source_ports=((1, 9),), destination_ports=((443, 443),),
                          group=1)  # fmt: skip
GUEST = {"name": "vm", "vcpu": 4, "memory_bytes": 2**33}

POSSIBLE = {
    "compute.visible_memory_bytes": {"installed_bytes": 2**37, "firmware_share": 0.025},
    "compute.default_arc_bytes": {"memory_bytes": 2**37},
    "compute.memory_bytes_per_s": {"channels": 2, "mtps": 5600.0},
    "compute.Guest": GUEST,
    "compute.room": {
        "guests": [compute.Guest(**GUEST)], "memory_bytes": 2**37, "threads": 32,
        "arc_bytes": 2**33, "host_bytes": 2**32, "host_vcpu": 4, "qemu_share": 0.05,
    },
    "cost.covers": {"claimed": (1.0, 2.0), "computed": (1.0, 2.0), "tolerance": 0.1},
    "cost.storage_per_month": {"stored_bytes": 1e12, "price_per_tb": 6.95, "free_bytes": 1e10},
    "cost.upload_seconds": {"stored_bytes": 1e12, "uplink_bps": 5e7, "efficiency": 0.9},
    "durability.ure_probability": {"bytes_read": 1e13, "ure_per_bit": 1e-15},
    "durability.ure_rate_for": {"probability": 0.125, "bytes_read": 1e13},
    "durability.latent_error_probability": {"errors_per_year": 0.05, "scrub_days": 30.0},
    "durability.any_of": {"probability": 0.1, "count": 3},
    "durability.zone_average_bps": {"outer_bps": 2.6e8, "inner_bps": 1.2e8, "fill": 0.7},
    "durability.rebuild_seconds": {
        "disk_bytes": 1.4e13, "fill": 0.7, "outer_bps": 2.6e8, "inner_bps": 1.2e8,
        "efficiency": 0.6, "uplink_bps": 1e9, "readers": 3,
    },
    "durability.chain": CHAIN | {"repair": "parallel"},
    "durability.loss_probability": CHAIN | {"years": 5.0},
    "durability.mttdl_years": CHAIN | {"years": 5.0},
    "durability.mttdl_closed_form_years": {k: CHAIN[k] for k in list(CHAIN)[:4]},
    "montecarlo.simulate_loss": CHAIN
    | {"years": 5.0, "histories": 10, "rng": np.random.default_rng(1)},
    "ethernet.tcp_share": {"mtu": 1500},
    "ethernet.tcp_bytes_per_s": {"line_bps": 1e10, "mtu": 9000},
    "inspection.bps_per_thread": {
        "rules": 20_000, "clock_ratio": 1.0, "reference_bps": 1e9, "reference_rules": 14_000,
        "fixed_share": 0.5, "inline_share": 0.6,
    },
    "inspection.inspection_bound": {"threads": 16, "ports_bps": {"a": 1e9}, "thread_bps": 1e9},
    "links.link_speed": {"a": links.End("8P8C", {1e9}),
                         "b": links.End("8P8C", {1e9}),
                         "medium": "Cat6", "length_m": 3.0},
    "context.row_bytes": {"type_name": "f16", "elements": 1024},
    "context.Transformer": {
        "architecture": "llama", "n_layer": 32, "n_embd": 4096, "n_ff": 14336,
        "n_vocab": 128256, "n_head": 32, "n_head_kv": 8, "key_length": 128,
        "value_length": 128, "n_expert_used": 2, "n_ff_expert": 1024, "window": 4096,
        "window_pattern": 2, "window_head_length": 128, "n_cache_layer": 20,
        "kv_latent_length": 0, "per_layer_length": 0,
    },
    "context.Serving": {"n_ctx": 8192, "n_seq": 4, "n_batch": 2048, "n_ubatch": 512,
                        "n_outputs": 4},
    "architectures.Widths": {
        "n_layer": 32, "n_embd": 4096, "n_ff": 14336, "n_vocab": 128256, "n_head": 32,
        "n_head_kv": 8, "head_dim": 128, "n_expert": 8, "n_ff_expert": 1024,
        "n_expert_shared": 1, "n_layer_dense": 1, "q_latent_length": 0,
        "kv_latent_length": 0, "rope_length": 64, "value_length": 0,
    },
    "pcie.Hop": {"name": "slot", "gen": 3, "lanes": 4},
    "pcie.lane_gtps": {"gen": 3},
    "pcie.raw_gbps": {"gen": 3, "lanes": 4},
    "pcie.ack_limit_symbols": {"gen": 3, "lanes": 4, "mps": 256},
    "pcie.link_layer_share": {"gen": 3, "lanes": 4, "mps": 256},
    "pcie.payload_gbps": {"gen": 3, "lanes": 4, "mps": 256},
    "pcie.shared_gbps": {"capacity_gbps": 16.0, "demands_gbps": {"a": 8.0}},
    "pcie.headroom": {"available_gbps": 16.0, "needed_gbps": 8.0},
    "placement.Card": {"name": "c", "vram_bytes": 2**34, "bandwidth_bps": 6e11,
                       "runtimes": frozenset({"cuda"}), "group": "g"},
    "placement.Model": {"name": "m", "layers": 32, "layer_bytes": 2e8, "buffer_bytes": 1e8,
                        "runtimes": frozenset({"cuda"}), "weight": 1.0},
    "power.Draw": {"name": "d", "idle_w": 1.0, "load_w": 2.0, "peak_w": 3.0},
    "power.gpu_peak_w": {"board_w": 285.0, "excursion": 2.0},
    "power.supply_w": {"needs": None, "load_share": 0.8, "excursion": 2.0},
    "power.wall_w": {"output_w": 100.0, "efficiency": 0.9},
    "power.battery_share": {"rate_per_h": 2.0},
    "power.ups_runtime_s": {"load_w": 100.0, "rated_w": 900.0, "energy_wh": 216.0,
                            "efficiency": 0.85},
    "power.yearly_kwh": {"average_w": 100.0},
    "power.yearly_cost": {"average_w": 100.0, "price_per_kwh": 0.3},
    "power.circuit_headroom_w": {"load_w": 1000.0, "breaker_a": 16.0, "voltage_v": 230.0,
                                 "continuous": 0.8},
    "random_io.disk_iops": {"rpm": 7200.0, "seek_s": 8.5e-3},
    "random_io.pool_iops": {"one_disk": 79.0, "layout": "raidz2", "width": 4, "vdevs": 1},
    "transcode.Stream": {f.name: getattr(STREAM, f.name) for f in fields(STREAM)},
    "transcode.Engine": {"units": 2, "decode_pps": {"hevc": 1e9}, "encode_pps": {"h264": 1e9},
                         "sessions": 8},
    "transcode.streams_over": {"link_bps": 1e9, "stream": STREAM},
    "spread.spread_layers": {"layer_bytes": [1, 1], "available_bytes": [4, 4],
                             "reserve_bytes": [1, 1], "output_bytes": 1},
    "spread.spread_tokens_per_second": {"bytes_per_token": [4e9], "bandwidth_bps": [6e11],
                                        "answers_s": [3e-4], "crossing_bytes": 2e4, "crossings": 2,
                                        "network_bps": 2.5e9},
    "spread.sending_s": {"sent_bytes": 1e9, "network_bps": 2.5e9},
    "vram.Fit": {"weights_bytes": 1, "cache_bytes": 1, "compute_bytes": 1, "overhead_bytes": 1,
                 "available_bytes": 4},
    "vram.split_layers": {"layer_bytes": [1, 1], "available_bytes": [4], "reserve_bytes": [1],
                          "output_bytes": 1},
    "vram.decode_tokens_per_second": {"bytes_per_token": [4e9], "bandwidth_bps": [6e11],
                                      "efficiency": 0.6},
    "zfs.slop_bytes": {"space_bytes": 10**13, "embedded_bytes": 0},
    "zfs.pool_capacity": {"disk_bytes": DISK, "layout": "raidz2", "width": 4, "vdevs": 1,
                          "ashift": 12, "logical_block": 512, "first_width": 4},
    "zfs_layout.parse_layout": {"text": "raidz2", "width": 4},
    "zfs_layout.first_width_of": {"first_width": 4, "layout": "raidz2", "width": 5},
    "zfs_layout.partition_bytes": {"disk_bytes": DISK, "logical_block": 512},
    "zfs_layout.allocated_bytes": {"logical_bytes": 2**17, "layout": RAIDZ, "width": 4,
                                   "ashift": 12},
    "zfs_layout.deflate_ratio": {"layout": RAIDZ, "width": 4, "ashift": 12},
    "zfs_layout.space_efficiency": {"block_bytes": 2**17, "layout": "raidz2", "width": 4,
                                    "ashift": 12},
    "zfs_layout.zvol_refreservation_bytes": {"volume_bytes": 2**30, "block_bytes": 2**14,
                                             "layout": "raidz2", "width": 4, "ashift": 12,
                                             "copies": 1},
    "zfs_vdev.metaslab_shift": {"asize_bytes": DISK},
    "zfs_vdev.vdev_space": {"layout": "raidz2", "width": 4, "partition_bytes": DISK,
                            "ashift": 12, "first_bytes": DISK},
    "zfs_vdev.asize_bytes": {"partition_bytes": DISK, "layout": RAIDZ, "width": 4},
    "architectures.tensor_shapes": {"architecture": "llama", "widths": WIDTHS},
    "quantisation.quantised_types": {"quant": "Q4_K_M", "shapes": {"output.weight": (256, 8)},
                                     "widths": WIDTHS},
    "quantisation.tensor_bytes": {"type_name": "Q4_K", "shape": (256, 8)},
    "quantisation.weight_bytes": {"types": {"a": "Q4_K"}, "shapes": {"a": (256, 8)}},
    "context.kv_cache_bytes": {"model": LLAMA, "serving": context.Serving(8192)},
    "context.compute_buffer_bytes": {"model": LLAMA, "serving": context.Serving(8192)},
    "copies.standing": {"medium": "disk", "copies": [copies.Copy("b", "tape", True, 60.0, 9e4)]},
    "cost.total": {"prices": [cost.Range(1.0, 2.0)]},
    "cost.net": {"spent": cost.Range(1.0, 2.0), "earned": cost.Range(0.5, 0.5)},
    "flows.max_min_fair": {"graph": CABLE, "flows": {"f": ("a", "b")}, "demands_bps": {"f": 1e9}},
    "ids_policy.decide": {"signature": ids_policy.Signature(2001, "x.rules"),
                          "policies": [ids_policy.Policy("p", "drop", 1)]},
    "packet_filter.decide": {"rules": [RULE], "packet": packet_filter.Packet(
        "lan", ip_address("10.0.0.1"), ip_address("10.0.1.1"), "tcp", 443, 50_000)},
    "packet_filter.passing": {"rules": [RULE], "interface": "lan", "sources": HERE,
                              "destinations": HERE},
    "pcie.carried_gbps": {"gen": 3, "lanes": 4, "mps": 256},
    "placement.place": {
        "models": [placement.Model("m", 32, 2e8, 1e8, frozenset({"cuda"}), weight=1.0)],
        "cards": [placement.Card("c", 2**34, 6e11, frozenset({"cuda"}), "g")],
    },
    "power.budget": {"draws": [power.Draw("d", 1.0, 2.0, 3.0)]},
    "transcode.share_of_unit": {"stream": STREAM, "engine": ENGINE},
    "transcode.streams_that_fit": {"stream": STREAM, "engine": ENGINE},
    "transcode.bus_need_bps": {"stream": STREAM},
    "zfs.capacity": {"vdevs": [zfs.Vdev("raidz2", (DISK,) * 4, first_width=4)],
                     "openzfs": (2, 3, 0)},
}  # fmt: skip

ANY_NUMBER = {
    ("durability.rebuild_seconds", "uplink_bps"): "infinite for no limit",
    ("flows.max_min_fair", "demands_bps.f"): "as large as one likes",
    ("copies.standing", "copies.0.age_s"): "another machine's clock may be ahead",
    ("cost.covers", "claimed.0"): "what is left to pay may be below nothing",
    ("cost.covers", "claimed.1"): "what is left to pay may be below nothing",
    ("cost.covers", "computed.0"): "what is left to pay may be below nothing",
    ("cost.covers", "computed.1"): "what is left to pay may be below nothing",
    ("ids_policy.decide", "policies.0.priority"): "negative goes before all",
    ("packet_filter.decide", "rules.0.sequence"): "negative goes before all",
    ("packet_filter.passing", "rules.0.sequence"): "negative goes before all",
}
"""Parameters of which some of the odd numbers can be, and why; nan never can."""
WITHOUT_NUMBERS = {
    "bounds.holds", "bounds.takes", "carried.checked", "carried.edge_bps", "carried.edge_limit",
    "carried.node_bps", "carried.node_limit", "compact.compact",
    "paths.path_bandwidth", "paths.widest_routes",
    "pcie.negotiate", "reachability.subnets_without_route", "reachability.vlan_reachability",
    "topology.lost_when", "topology.single_points_of_failure",
}  # fmt: skip
"""Public functions that take names, graphs, networks, or hops that are asked by themselves."""


def odd_ones(value, path=""):
    """Each number in an argument, however deep: its path, and the argument with another in it."""
    if isinstance(value, bool | str | np.random.Generator):
        return
    if isinstance(value, int | float):
        yield path, lambda odd: odd
    elif is_dataclass(value):
        for field in fields(value):
            for where, put in odd_ones(getattr(value, field.name), f"{path}.{field.name}"):
                yield where, lambda odd, f=field.name, p=put: replace(value, **{f: p(odd)})
    elif isinstance(value, Mapping):
        for key, each in value.items():
            for where, put in odd_ones(each, f"{path}.{key}"):
                yield where, lambda odd, k=key, p=put: {**value, k: p(odd)}
    elif isinstance(value, tuple | list):
        make = type(value)._make if hasattr(value, "_make") else type(value)
        for place, each in enumerate(value):
            for where, put in odd_ones(each, f"{path}.{place}"):
                yield where, lambda odd, n=place, p=put: make([*value[:n], p(odd), *value[n + 1 :]])
    elif isinstance(value, set):
        for each in value:
            yield f"{path}.{each}", lambda odd, e=each: value - {e} | {odd}


ODD = (math.nan, -1, -1e30, 1e30, math.inf, -math.inf)
DEEP = {
    (name, f"{parameter}{where}"): (parameter, put)
    for name, given in POSSIBLE.items()
    for parameter, value in given.items()
    for where, put in odd_ones(value)
}


@pytest.mark.parametrize(("name", "where"), DEEP, ids=lambda each: each)
def test_no_number_is_odd_however_deep_it_is(name, where):
    parameter, put = DEEP[name, where]
    for odd in ODD[:1] if (name, where) in ANY_NUMBER else ODD:
        with pytest.raises(ValueError, match=r" is | can't be"):
            called(name)(**POSSIBLE[name] | {parameter: put(odd)})


def test_every_public_function_is_asked():
    public = {
        f"{module.name}.{name}"
        for module in iter_modules(models.__path__)
        for name, thing in vars(import_module(f"homelab_lib.models.{module.name}")).items()
        if isfunction(thing)
        and not name.startswith("_")
        and thing.__module__ == f"homelab_lib.models.{module.name}"
    }
    assert public == {name for name in POSSIBLE if isfunction(called(name))} | WITHOUT_NUMBERS


def numbers(name):
    """The parameters of a function or dataclass that take a number, beside those with choices."""
    given = POSSIBLE[name] or {}
    return [k for k, v in given.items() if isinstance(v, int | float) and not isinstance(v, bool)]


def called(name):
    module, _, function = name.partition(".")
    return getattr(import_module(f"homelab_lib.models.{module}"), function)


NO_LIMIT = ("durability.rebuild_seconds", "uplink_bps")  # which may be infinite
ASKED = [(n, parameter) for n in POSSIBLE for parameter in numbers(n) if (n, parameter) != NO_LIMIT]


@pytest.mark.parametrize("odd", [math.nan, -1, -1e30, 1e30, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize(("name", "parameter"), ASKED)
def test_what_can_not_be_is_refused_by_its_name(name, parameter, odd):
    with pytest.raises(ValueError, match=parameter.split("_")[0]):
        called(name)(**POSSIBLE[name] | {parameter: odd})


@pytest.mark.parametrize("name", [n for n in POSSIBLE if POSSIBLE[n] and n != "power.supply_w"])
def test_what_can_be_is_taken(name):
    assert called(name)(**POSSIBLE[name]) is not None


def test_arrays_are_asked_element_by_element():
    ure = called("durability.ure_probability")
    assert ure(np.array([1e12, 1e13]), 1e-15).shape == (2,)
    with pytest.raises(ValueError, match="bytes_read"):
        ure(np.array([1e12, -1.0]), 1e-15)
    with pytest.raises(ValueError, match="ure_per_bit is five"):
        ure(1e12, "five")


def test_a_guest_counts_once():
    two = [compute.Guest(**GUEST), compute.Guest(**GUEST)]
    with pytest.raises(ValueError, match="two of the name 'vm'"):
        compute.room(two, memory_bytes=2**37, threads=32)

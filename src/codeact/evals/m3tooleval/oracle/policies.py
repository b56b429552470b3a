"""Who does what: for every task the policy that does it, and what the policy is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from . import browser, decoder, sequencer, trade, travel

Policy: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A policy and its arguments; `before` are functions that its source needs, `imports` modules."""

    policy: Policy
    arguments: Mapping[str, Any] = field(default_factory=dict)
    before: tuple[Policy, ...] = ()
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plans:
    """How a task is done by code, and how by calls."""

    code: Plan
    calls: Plan


def plans() -> dict[str, Plans]:
    """The plans for all tasks, by the task's name."""
    found: dict[str, Plans] = {}
    for domain, names in (("message_decoder", vars(decoder)), ("cryptobotanists_plant_dna_sequencer", vars(sequencer))):
        own = {name: value for name, value in names.items() if getattr(value, "__module__", "") == names["__name__"]}
        found |= {f"{domain}/{name}": _same(Plan(policy)) for name, policy in own.items()}
    found |= {f"trade_calculator/{name}": _same(plan) for name, plan in _trades().items()}
    found |= {f"travel_itinerary_planning/{name}": _same(plan) for name, plan in _trips().items()}
    found |= {f"web_browsing/{name}": plan for name, plan in _walks().items()}
    return found


def _same(plan: Plan) -> Plans:
    return Plans(plan, plan)


def _trades() -> dict[str, Plan]:
    def plan(policy: Policy, **arguments: Any) -> Plan:
        return Plan(policy, arguments, () if policy is trade.estimate else (trade.final,))

    def offers(policy: Policy, *given: tuple[float, float, float]) -> Plan:
        return plan(policy, offers=list(given))

    all, least, most = trade.final_values, trade.least_final_value, trade.largest_final_value
    return {
        "estimate_final_value": plan(trade.estimate, price=150, tariff=7.5),
        "interstellar_trade_transaction": plan(trade.final_value, offer=(5000, 1.5, 8)),
        "taxed_commodity_export": plan(trade.final_value, offer=(24000, 2.0, 5)),
        "best_trade_route_selection": offers(least, (500, 1.3, 7), (500, 1.4, 9), (500, 1.2, 4)),
        "most_profitable_conversion_rate": plan(trade.final_value, offer=(300000, 2.7, 10)),
        "bulk_trade_quantity_discount": plan(trade.final_value, offer=(3562500, 1.8, 12)),
        "comparative_profit_analysis": offers(most, (30000, 1.6, 6), (40000, 1.8, 5)),
        "fluctuating_conversion_rates_impact": offers(all, (20000, 1.7, 7), (30000, 1.5, 7), (40000, 1.6, 7)),
        "optimal_trade_route_multiple_commodities": offers(most, (30000, 1.7, 8), (75000, 1.5, 5), (40000, 2.0, 10)),
        "seasonal_price_fluctuation_impact": offers(all, (40000, 1.8, 7), (50000, 1.8, 7), (36000, 1.8, 7)),
        "balancing_multiple_trade_offers": plan(trade.net_profit, sold=(75000, 1.6, 6), bought=(33000, 1.5, 4)),
        "dynamic_pricing_strategy": offers(all, (39600, 1.8, 6), (30000, 1.8, 6), (22800, 1.8, 6)),
        "quantity_tariff_tradeoff": offers(most, (80000, 1.7, 10), (60000, 1.7, 5)),
        "optimizing_bulk_purchase_discounts": offers(
            most, (142500, 1.6, 7), (149625, 1.6, 7), (171000, 1.6, 7), (179550, 1.6, 7)
        ),
        "currency_fluctuation_hedging": offers(least, (125000, 1.5, 8), (125000, 1.65, 8), (125000, 1.8, 8)),
        "variable_tariff_profit_maximization": offers(most, (120000, 1.7, 6), (105000, 1.7, 4), (135000, 1.7, 7)),
        "long_term_vs_short_term_trade_decisions": offers(all, (120000, 1.8, 5), (132000, 1.6, 7)),
    }


def _trips() -> dict[str, Plan]:
    def legs(*given: tuple[Any, ...], rated: str = "") -> Plan:
        way = [(*leg[:4], list(leg[4:])) for leg in given]
        if rated:
            return Plan(travel.best_rated, {"legs": way, "rated": list(rated)})
        return Plan(travel.cheapest, {"legs": way})

    new_york = ("E", "B", "2023-11-10", 3)
    return {
        "plan_trip_to_0": legs(("E", "A", "2023-12-25", 5, "wifi", "pool"), rated="A"),
        "cheapest_new_york_trip": legs(new_york),
        "luxury_tokyo_trip": legs(("E", "C", "2023-10-05", 7), rated="C"),
        "budget_trip_to_paris": legs(("E", "A", "2023-12-25", 4)),
        "new_york_trip_with_specific_preferences": legs((*new_york, "gym")),
        "london_business_trip": legs(("E", "D", "2023-08-15", 4, "wifi")),
        "last_minute_tokyo_trip": legs(("E", "C", "2023-12-01", 3)),
        "new_york_holiday_season": legs(("E", "B", "2023-12-15", 7, "gym", "pool")),
        "multi_city_business_trip": legs(("E", "B", "2023-11-10", 2, "wifi"), ("B", "C", "2023-11-13", 3, "wifi")),
        "leisure_multi_city_trip": legs(("E", "A", "2023-12-25", 3), ("A", "D", "2023-12-28", 2)),
        "three_city_european_tour": legs(
            ("E", "A", "2023-12-25", 3, "wifi"),
            ("A", "D", "2023-12-29", 4, "wifi"),
            ("D", "C", "2024-01-02", 3, "wifi"),
        ),
        "adventure_trip": legs(
            ("E", "C", "2023-12-01", 2, "pool"), ("C", "B", "2023-12-03", 3), ("B", "D", "2023-12-06", 2, "gym")
        ),
        "cultural_exploration_tour": legs(
            ("E", "A", "2023-12-25", 4, "wifi"),
            ("A", "B", "2023-12-29", 2, "wifi"),
            ("B", "D", "2024-01-01", 3, "wifi"),
            rated="D",
        ),
        "leisure_and_business_combo": legs(
            ("E", "D", "2023-08-15", 3, "wifi", "gym"),
            ("D", "A", "2023-08-18", 2, "pool"),
            ("A", "C", "2023-08-20", 2, "wifi", "gym"),
        ),
        "grand_tour_vacation": legs(
            ("E", "C", "2023-12-01", 2),
            ("C", "D", "2023-12-03", 3),
            ("D", "B", "2023-12-06", 2),
            ("B", "E", "2023-12-08", 3),
            rated="CDBE",
        ),
    }


_ENGINEERING, _MARKETING, _SUPPORT = "/team/engineering", "/team/marketing", "/team/customer_support"
_PEOPLE = {
    "allison_hill": _ENGINEERING,
    "meredith_barnes": _ENGINEERING,
    "kimberly_dudley": _ENGINEERING,
    "henry_santiago": _MARKETING,
}
_PHONES = {
    "thomas_ramos": "432-867-7360",
    "james_house": "+1-972-434-3098x05009",
    "jordan_york": "(719)639-9091x6998",
    "mike_allen": "310-579-9118x38425",
}
_ASKED = {
    "email_of": r"Email: (\S+)",
    "department_of": r" of (.+) Department",
    "phone_number_of": r"Phone: (\S+)",
    "expertise_of": r"Expertise: (.+)",
}
_BASKETS = (
    ("total_price_of_selected_items_0", "Legendary Wand, Enchanted Potion, Magical Spellbook"),
    ("total_price_of_selected_items_1", "Mystical Crystal Ball, Rare Crystal Ball, Magical Spellbook"),
    ("total_price_of_selected_items_2", "Ancient Wand, Mystical Wand, Enchanted Potion"),
    (
        "total_price_of_selected_items_3",
        "Mystical Crystal Ball, Rare Crystal Ball, Magical Spellbook, Mystical Potion",
    ),
    ("total_price_of_selected_items_after_discount_0", "Legendary Wand, Enchanted Potion, Magical Spellbook"),
    ("total_price_of_selected_items_after_discount_1", "Mystical Crystal Ball, Magical Spellbook"),
    ("total_price_of_selected_items_after_discount_2", "Ancient Wand, Enchanted Potion"),
    ("total_price_of_selected_items_after_discount_3", "Ancient Crystal Ball, Rare Wand"),
    ("price_of_legendary_wand", "Legendary Wand"),
    ("price_of_legendary_potion", "Legendary Potion"),
    ("price_of_legendary_spellbook", "Legendary Spellbook"),
    ("price_of_legendary_crystal_ball", "Legendary Crystal Ball"),
)


def _walks() -> dict[str, Plans]:
    found = {}
    for name, basket in _BASKETS:
        items, discounted = basket.split(", "), "discount" in name
        read = browser.read_discounted if discounted else browser.read_prices
        walked = Plan(browser.walk_total, {"items": items, "factor": 0.9 if discounted else 1})
        found[name] = Plans(_read(read, items=items), walked)
    for person, team in _PEOPLE.items():
        place = f"{person.replace('_', ' ').title()} of "
        for asked, pattern in _ASKED.items():
            walked = Plan(browser.walk_line, {"way": ["/team", team, f"{team}/{person}"], "pattern": pattern})
            found[f"{asked}_{person}"] = Plans(_read(browser.read_line, place=place, pattern=pattern), walked)
    for person, phone in _PHONES.items():
        way, pattern = ["/team", _SUPPORT, f"{_SUPPORT}/{person}"], r"(\w+ \w+) of .+ Department"
        walked = Plan(browser.walk_line, {"way": way, "pattern": pattern})
        read_phone = _read(browser.read_line, place=f"Phone: {phone}", pattern=pattern)
        found[f"match_phone_number_to_person_{person}"] = Plans(read_phone, walked)
    for team, name in (("sales", "Sales"), ("customer_support", "Customer Support")):
        walked = Plan(browser.walk_count, {"way": ["/team", f"/team/{team}"]})
        found[f"people_in_{team}"] = Plans(_read(browser.read_count, place=f" of {name} Department"), walked)
    return found


def _read(policy: Policy, **arguments: Any) -> Plan:
    return Plan(policy, arguments, (browser.read_all,), ("re",))

"""What to do in the domain travel_itinerary_planning: a look at two prices, or their sum, costs no call."""

from __future__ import annotations

from typing import Any, TypeAlias

from .asking import tool

find_flights = tool("find_flights")
book_hotel = tool("book_hotel")
budget_calculator = tool("budget_calculator")

Leg: TypeAlias = tuple[str, str, str, int, list[str]]  # from, to, on, nights, what the hotel must have


def cheapest(legs: list[Leg]) -> Any:
    costs = []
    for start, end, date, nights, wishes in legs:
        flight = min(flight["price"] for flight in find_flights(start, end, date))
        hotel = min(hotel["price_per_night"] for hotel in book_hotel(end, *wishes))
        costs.append(budget_calculator(flight, hotel, nights))
    return sum(costs)


def best_rated(legs: list[Leg], rated: list[str]) -> Any:
    costs = []
    for start, end, date, nights, wishes in legs:
        flight = min(flight["price"] for flight in find_flights(start, end, date))
        hotels = sorted(book_hotel(end, *wishes), key=lambda hotel: hotel["price_per_night"])
        hotel = max(hotels, key=lambda hotel: hotel["rating"]) if end in rated else hotels[0]
        costs.append(budget_calculator(flight, hotel["price_per_night"], nights))
    return sum(costs)
